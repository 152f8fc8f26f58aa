package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"text/template"
)

// ways are how the programs of testdata/compiled are compiled. {} stands for
// source and output; a compiler that is not there is skipped.
var ways = []struct{ suffix, name, command string }{
	{".c", "gcc-O0", "gcc -w -O0"},
	{".c", "gcc-O2", "gcc -w -O2"},
	{".c", "gcc-O2-static", "gcc -w -O2 -static"},
	{".c", "gcc-O2-nopie", "gcc -w -O2 -no-pie"},
	{".c", "gcc-O2-stripped", "gcc -w -O2 -s -fno-asynchronous-unwind-tables"},
	{".c", "gcc-O2-zeros", "gcc -w -O2 -fzero-call-used-regs=all"},
	{".c", "clang-O2", "clang -w -O2"},
	{".c", "musl-O2-static", "musl-gcc -w -O2 -static"},
	{".cpp", "g++-O0", "g++ -w -O0"},
	{".cpp", "g++-O2", "g++ -w -O2"},
	{".cpp", "g++-O2-static", "g++ -w -O2 -static"},
	{".cpp", "g++-O0-static-nopie", "g++ -w -O0 -static -no-pie"},
	{".cpp", "clang++-O2", "clang++ -w -O2"},
	{".s", "gcc", "gcc"},
	{".s", "gcc-static-stripped", "gcc -static -s"},
	{".go", "go", "go build"},
	{".go", "go-stripped", "go build -ldflags=-s"},
	{".go", "go-pie", "go build -buildmode=pie"},
}

// compiled are the programs, with the libraries that they need.
type compiledImage struct {
	rootfs, ref string
	programs    []string
}

var compiled = sync.OnceValues(func() (compiledImage, error) {
	base, err := scratch()
	if err != nil {
		return compiledImage{}, err
	}
	img := compiledImage{rootfs: filepath.Join(base, "compiled-rootfs"), ref: "oci:" + filepath.Join(base, "compiled") + ":latest"}
	if err := os.Mkdir(img.rootfs, 0o755); err != nil {
		return img, err
	}
	sources, err := filepath.Glob("testdata/compiled/*")
	if err != nil {
		return img, err
	}
	for _, src := range sources {
		if src, err = fromTemplate(src, base); err != nil {
			return img, err
		}
		if err := img.compile(src); err != nil {
			return img, err
		}
	}
	return img, convert("dir:"+img.rootfs, img.ref)
})

// fromTemplate makes the source that src is a template of, if it is one, in dir: much of it
// is there for each number up to templateNumbers.
func fromTemplate(src, dir string) (string, error) {
	name, is := strings.CutSuffix(filepath.Base(src), ".tmpl")
	if !is {
		return src, nil
	}
	t, err := template.ParseFiles(src)
	if err != nil {
		return "", err
	}
	numbers := make([]int, templateNumbers)
	for i := range numbers {
		numbers[i] = i + 1
	}
	var b bytes.Buffer
	if err := t.Execute(&b, numbers); err != nil {
		return "", err
	}
	made := filepath.Join(dir, name)
	return made, os.WriteFile(made, b.Bytes(), 0o666)
}

const templateNumbers = 350

// compile compiles a source in all ways.
func (img *compiledImage) compile(src string) error {
	for _, w := range ways {
		command := strings.Fields(w.command)
		if _, err := exec.LookPath(command[0]); err != nil || filepath.Ext(src) != w.suffix {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(src), w.suffix) + "-" + w.name
		out := filepath.Join(img.rootfs, name)
		cmd := exec.Command(command[0], append(command[1:], "-o", out, src)...)
		if msg, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", cmd, err, msg)
		}
		if err := img.addLibraries(out); err != nil {
			return err
		}
		img.programs = append(img.programs, name)
	}
	return nil
}

var lddPath = regexp.MustCompile(`(/\S+) \(0x`)

// addLibraries copies the libraries that a program needs to where it looks.
func (img *compiledImage) addLibraries(program string) error {
	out, err := exec.Command("ldd", program).CombinedOutput()
	if err != nil {
		return nil // static
	}
	for _, m := range lddPath.FindAllSubmatch(out, -1) {
		path := string(m[1])
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		to := filepath.Join(img.rootfs, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, data, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// TestCompiled runs small programs that use what compilers do in special
// ways, natively and converted.
func TestCompiled(t *testing.T) {
	img := need(t, compiled)
	k := loadKnown(t)
	ids := map[string]bool{}
	for _, name := range img.programs {
		id := "compiled: " + name
		ids[id] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := capture(t, exec.Command(filepath.Join(img.rootfs, name)))
			got := capture(t, exec.Command(megabin(), "run", img.ref, "/"+name))
			k.judge(t, id, crashDiffs(want, got))
		})
	}
	k.checkIDs(t, "compiled", ids)
}
