package images

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/megabin/megabin/converter"
	"github.com/megabin/megabin/integration/debian"
	"github.com/megabin/megabin/layers/blob"
)

// minbase pushes Debian's base image.
var minbase = sync.OnceValues(func() (string, error) {
	cache, err := debian.CacheDir()
	if err != nil {
		return "", err
	}
	img, err := debian.Build(ctxBackground, debian.Minbase, cache, os.Stderr)
	if err != nil {
		return "", err
	}
	name := env.image("debian:minbase")
	out, err := exec.Command("skopeo", "copy", "-q", "--dest-tls-verify=false", img.Ref(), "docker://"+name).CombinedOutput()
	os.Stderr.Write(out)
	return name, err
})

func theMinbase(t testing.TB) string {
	t.Helper()
	name, err := minbase()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// busyboxContext is for an image with busybox alone.
func busyboxContext(t testing.TB) string {
	t.Helper()
	cache, err := debian.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	rootfs, err := debian.Unpack(t.Context(), []string{"busybox-static"}, cache, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return buildContext(t, "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nCMD [\"sh\"]\n",
		map[string]string{"busybox": filepath.Join(rootfs, "bin", "busybox")})
}

// theBusybox is the name of an image with a shell, not converted, whose units
// the builder has.
func theBusybox(t testing.TB) string {
	t.Helper()
	name := env.image("busybox:plain")
	busyboxOnce.Do(func() {
		build{dir: busyboxContext(t), way: plain, output: pushed("busybox:plain")}.mustRun(t)
		cli := "docker://" + env.image("busybox:cli")
		must(t, megabin(), "convert", "docker://"+name, cli)
		seedUnits(t, cli)
	})
	return name
}

var busyboxOnce sync.Once

// seedUnits puts the units of a converted image into the builder's cache
// mount, from the cache of the host, so that a build does not recompile what
// was recompiled here before.
func seedUnits(t testing.TB, converted string) {
	t.Helper()
	var m struct {
		Translator string
		Entries    []struct{ BLAKE3 blob.ID }
	}
	decode(t, must(t, megabin(), "inspect", "--json", converted), &m)
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := buildContext(t, "FROM "+env.image("busybox:plain")+"\nRUN --mount=type=cache,id=megabin-units,target=/cache --mount=type=bind,source=units,target=/units cp -r /units/. /cache/\n", nil)
	for _, e := range m.Entries {
		key := converter.UnitKey(m.Translator, e.BLAKE3)
		name := filepath.Join(key[:2], key+".wasm")
		to := filepath.Join(dir, "units", name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := link(filepath.Join(cache, "megabin", "units", name), to); err != nil {
			t.Fatal(err)
		}
	}
	build{dir: dir, way: plain}.mustRun(t)
}

// link makes a hard link, or a copy on another file system.
func link(from, to string) error {
	if from, err := filepath.EvalSymlinks(from); err == nil && os.Link(from, to) == nil {
		return nil
	}
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

// sameFiles has crane, skopeo and check read an image, and compares its files
// with the source's.
func sameFiles(t *testing.T, source, converted string) {
	t.Helper()
	name := env.image(converted)
	must(t, tool("crane"), "validate", "--remote", name)
	pulled := filepath.Join(t.TempDir(), "pulled.tar")
	must(t, tool("crane"), "pull", "--platform", "linux/amd64", name, pulled)
	must(t, tool("crane"), "validate", "--tarball", pulled)
	must(t, megabin(), "check", "docker://"+name)
	must(t, "skopeo", "inspect", "--tls-verify=false", "docker://"+name)
	must(t, "skopeo", "copy", "-q", "--src-tls-verify=false", "docker://"+name, "oci:"+filepath.Join(t.TempDir(), "copy"))
	// What crane exports as a file system is the plain one's, name by name.
	want, have := exported(t, source), exported(t, converted)
	have = slices.DeleteFunc(have, func(line string) bool { return strings.Contains(line, ".megabin") })
	if d := difference(want, have); d != "" {
		t.Errorf("files of the plain image and of the converted one:\n%s", d)
	}
}

// difference has the lines that only one of two lists has, with - and +.
func difference(old, new []string) (d string) {
	for _, side := range []struct {
		sign      string
		list, not []string
	}{{"-", old, new}, {"+", new, old}} {
		known := map[string]bool{}
		for _, line := range side.not {
			known[line] = true
		}
		for _, line := range side.list {
			if !known[line] {
				d += side.sign + line + "\n"
			}
		}
	}
	return d
}
