package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/megabin/megabin/integration/debian"
)

// damage is a way to spoil a file.
type damage struct {
	name  string
	spoil func([]byte) []byte
}

// damages of a file, at places spread over it.
func damages() []damage {
	ds := []damage{
		{"emptied", func(b []byte) []byte { return nil }},
		{"cut in half", func(b []byte) []byte { return b[:len(b)/2] }},
		{"last byte missing", func(b []byte) []byte { return b[:len(b)-1] }},
		{"zeroed", func(b []byte) []byte { return make([]byte, len(b)) }},
	}
	for i := range 8 {
		ds = append(ds, damage{fmt.Sprintf("byte flipped at %d/8", i), func(b []byte) []byte {
			b = bytes.Clone(b)
			b[len(b)*i/8] ^= 0x5a
			return b
		}})
	}
	return ds
}

// TestDamagedSource converts images of which one blob is spoilt.
func TestDamagedSource(t *testing.T) {
	layout := plainLayout(t)
	forEachBlob(t, layout, func(t *testing.T, damaged string) {
		target := filepath.Join(t.TempDir(), "target")
		got := capture(t, exec.Command(megabin(), "convert", "oci:"+damaged+":latest", "oci:"+target+":latest"))
		wantOwnError(t, got)
		wantNothingAt(t, target)
	})
}

// TestDamagedImage runs converted images of which one blob is spoilt.
func TestDamagedImage(t *testing.T) {
	img := need(t, smallImage)
	forEachBlob(t, img.layout, func(t *testing.T, damaged string) {
		cmd := exec.Command(megabin(), "run", "oci:"+damaged+":latest", "/crash", "exit-3")
		cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir()) // layers unpacked earlier are not read again
		wantOwnError(t, capture(t, cmd))
	})
}

// plainLayout is the small image before conversion, as an OCI layout.
func plainLayout(t *testing.T) string {
	t.Helper()
	img := need(t, smallImage)
	dir := t.TempDir()
	tar, layout := filepath.Join(dir, "rootfs.tar"), filepath.Join(dir, "oci")
	if out, err := exec.Command("tar", "-C", img.rootfs, "-cf", tar, ".").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	if err := debian.WriteLayout(layout, tar); err != nil {
		t.Fatal(err)
	}
	return layout
}

// forEachBlob calls test for each file of an OCI layout and each damage, with a
// copy of the layout in which that file is damaged.
func forEachBlob(t *testing.T, layout string, test func(t *testing.T, damaged string)) {
	for _, file := range filesOf(t, layout) {
		for _, d := range damages() {
			if file == "index.json" && strings.HasPrefix(d.name, "byte") {
				continue // no digest covers it, and some bytes of it say nothing
			}
			t.Run(filepath.Base(file)[:8]+" "+d.name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(layout)); err != nil {
					t.Fatal(err)
				}
				data, err := os.ReadFile(filepath.Join(layout, file))
				if err != nil {
					t.Fatal(err)
				}
				writeFile(t, filepath.Join(dir, file), string(d.spoil(data)))
				test(t, dir)
			})
		}
	}
}

func filesOf(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && path != "oci-layout" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestDamagedELF converts directories with a spoilt ELF: it is left alone or
// recompiled as it is, but never a reason to fail.
func TestDamagedELF(t *testing.T) {
	img := need(t, smallImage)
	program, err := os.ReadFile(filepath.Join(img.rootfs, "crash"))
	if err != nil {
		t.Fatal(err)
	}
	ds := damages()[1:]
	for off := range 64 { // the ELF header
		ds = append(ds, damage{fmt.Sprintf("header byte %d", off), func(b []byte) []byte {
			b = bytes.Clone(b)
			b[off] ^= 0xff
			return b
		}})
	}
	root := t.TempDir()
	for _, d := range ds {
		writeFile(t, filepath.Join(root, url.PathEscape(d.name)), string(d.spoil(program)))
	}
	got := capture(t, exec.Command(megabin(), "convert", "dir:"+root, "oci:"+filepath.Join(t.TempDir(), "target")))
	if got.status != 0 || bytes.Contains(got.stderr, []byte("goroutine ")) {
		t.Errorf("status %d, stderr %q", got.status, clip(got.stderr))
	}
}

// TestInterruptedConversion leaves nothing half-written behind, in whatever
// phase the signal comes. A phase begins when the line of the one before is
// printed.
func TestInterruptedConversion(t *testing.T) {
	src := need(t, source)
	need(t, converted) // so that the units are cached
	for _, tt := range []struct {
		after, cache string
	}{
		{"", t.TempDir()},
		{"reading layers:", t.TempDir()},
		{"recompiling:", ""}, // soon, with the units of the cache
		{"writing layers:", ""},
	} {
		t.Run(tt.after, func(t *testing.T) {
			dir, tmp := t.TempDir(), t.TempDir()
			cmd := exec.Command(megabin(), "convert", src.Ref(), "oci:"+filepath.Join(dir, "target")+":latest")
			cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
			if tt.cache != "" {
				cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+tt.cache)
			}
			got := interrupt(t, cmd, tt.after)
			wantOwnError(t, got)
			wantNothingIn(t, dir)
			wantNothingIn(t, tmp)
		})
	}
}

// interrupt sends SIGINT when a line of stderr begins with after.
func interrupt(t *testing.T, cmd *exec.Cmd, after string) outcome {
	t.Helper()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if after == "" {
		time.Sleep(200 * time.Millisecond) // it has to be ready for signals
	}
	var all bytes.Buffer
	lines := bufio.NewScanner(io.TeeReader(stderr, &all))
	for after != "" && lines.Scan() && !strings.HasPrefix(lines.Text(), after) {
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	status, err := exitStatus(cmd.Wait())
	if err != nil {
		t.Fatal(err)
	}
	return outcome{nil, all.Bytes(), status}
}

// wantOwnError expects status 125 and one clear message.
func wantOwnError(t *testing.T, got outcome) {
	t.Helper()
	if got.status != statusError {
		t.Errorf("status %d, want %d; stderr %q", got.status, statusError, clip(got.stderr))
	}
	if len(bytes.TrimSpace(got.stderr)) == 0 || bytes.Contains(got.stderr, []byte("goroutine ")) {
		t.Errorf("no clear message: %q", clip(got.stderr))
	}
}

// wantNothingAt expects that neither the target nor a temporary beside it exists.
func wantNothingAt(t *testing.T, target string) {
	t.Helper()
	wantNothingIn(t, filepath.Dir(target))
}

func wantNothingIn(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s was left behind", e.Name())
	}
}
