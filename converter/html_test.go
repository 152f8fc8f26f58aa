package converter

import (
	"bytes"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/megabin/megabin/layers/unit"
)

// TestSquarify checks that parts have the areas asked for, lie in the whole,
// and do not overlap: their areas are all of it.
func TestSquarify(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		whole := rect{10, 20, 1 + 1000*r.Float64(), 1 + 1000*r.Float64()}
		var sizes []float64
		total := 0.0
		for range 1 + r.IntN(50) {
			sizes = append(sizes, 1+1e6*r.Float64())
			total += sizes[len(sizes)-1]
		}
		slices.SortFunc(sizes, func(a, b float64) int { return int(b - a) })
		parts := squarify(whole, sizes)
		if len(parts) != len(sizes) {
			t.Fatalf("%d parts of %d", len(parts), len(sizes))
		}
		for i, p := range parts {
			if want := sizes[i] / total * whole.W * whole.H; math.Abs(p.W*p.H-want) > 1e-6*whole.W*whole.H {
				t.Errorf("part %d has the area %g, want %g", i, p.W*p.H, want)
			}
			const slack = 1e-6
			if p.X < whole.X-slack || p.Y < whole.Y-slack || p.X+p.W > whole.X+whole.W+slack || p.Y+p.H > whole.Y+whole.H+slack {
				t.Errorf("part %+v is not in %+v", p, whole)
			}
			for _, q := range parts[:i] {
				if x, y := min(p.X+p.W, q.X+q.W)-max(p.X, q.X), min(p.Y+p.H, q.Y+q.H)-max(p.Y, q.Y); x > slack && y > slack {
					t.Errorf("parts %+v and %+v overlap", p, q)
				}
			}
		}
	}
}

// sampleReport has names that HTML has to escape.
func sampleReport() *Report {
	r := &Report{Source: "sha256:source", Result: "sha256:result", Translator: "test"}
	for i, name := range []string{"/usr/bin/<script>alert(1)</script>", "/usr/bin/ls", "/usr/lib/libc.so.6", "/opt/\"quoted\" & more", "/empty"} {
		e := ELFReport{Paths: []string{name}, Size: int64(i * 100000), Kind: "executable", Instructions: 1000, ExecutableBytes: 100, CoveredBytes: 90}
		switch i {
		case 2:
			e.Untranslated, e.Reasons = 5, []unit.Reason{{Name: "vaddps", Count: 5}}
		case 3:
			e.Refused = "it is <broken>"
		}
		r.ELFs = append(r.ELFs, e)
		r.Total.add(&e)
	}
	return r
}

func TestHTML(t *testing.T) {
	for name, r := range map[string]*Report{"some": sampleReport(), "none": {}} {
		var b bytes.Buffer
		if err := r.WriteHTML(&b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		page := b.String()
		for _, e := range r.ELFs {
			if strings.Contains(page, e.Paths[0]) != !strings.ContainsAny(e.Paths[0], `<"`) {
				t.Errorf("%s: %s is there as it is, or not at all", name, e.Paths[0])
			}
		}
		for _, outside := range []string{"http://", "https://", "src=", "href=", "@import", "url("} {
			if strings.Contains(page, outside) {
				t.Errorf("%s: the page has %s", name, outside)
			}
		}
	}
}

// TestHTMLInBrowser opens a page in Chromium: it has what the report has, and
// no script of a file's name ran.
func TestHTMLInBrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	page := filepath.Join(dir, "report.html")
	f, err := os.Create(page)
	if err != nil {
		t.Fatal(err)
	}
	r := sampleReport()
	if err := r.WriteHTML(f); err != nil {
		t.Fatal(err)
	}
	f.Close()
	cmd := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+dir, "--dump-dom", page)
	dom, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	// A rectangle per file and one per directory, each file in its own; a row per file, one per file
	// that is not translated whole, seven in the summary, two heads.
	for tag, want := range map[string]int{"<rect": 5 + 5, "<tr": 5 + 2 + 7 + 2, "<script": 0} {
		if got := strings.Count(string(dom), tag); got != want {
			t.Errorf("%d times %s, want %d", got, tag, want)
		}
	}
	picture := filepath.Join(dir, "report.png")
	cmd = exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+dir, "--window-size=1000,1500", "--screenshot="+picture, page)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, out)
	}
	checkPicture(t, picture)
}

// checkPicture checks that a page is to be seen: the treemap has its place in
// colour, the rest is text on a plain ground.
func checkPicture(t *testing.T, name string) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	size, ground, coloured := img.Bounds(), 0, 0
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			r, g, b, _ := img.At(x, y).RGBA()
			switch {
			case img.At(x, y) == img.At(size.Max.X-1, size.Max.Y-1):
				ground++
			case max(r, g, b)-min(r, g, b) > 0x1000:
				coloured++
			}
		}
	}
	if all := size.Dx() * size.Dy(); ground < all/10 || coloured < all/20 {
		t.Errorf("of %d pixels %d are ground and %d coloured", all, ground, coloured)
	}
}
