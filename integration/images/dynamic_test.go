package images

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/megabin/megabin/integration/debian"
	"github.com/megabin/megabin/integration/oracle"
)

// dynamicFiles are a few of Debian's programs and what they are linked with.
var dynamicFiles = []string{
	"lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6",
	"lib/x86_64-linux-gnu/libselinux.so.1", "usr/lib/x86_64-linux-gnu/libpcre2-8.so.0", "bin/ls", "bin/dash", "bin/cat", "bin/sh",
	"etc/os-release", "usr/lib/os-release",
}

// dynamicContext has them, symlinks followed where one leads to a file.
func dynamicContext(t *testing.T) string {
	t.Helper()
	cache, err := debian.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	img, err := debian.Build(t.Context(), debian.Minbase, cache, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir := buildContext(t, "FROM scratch\nCOPY root /\nCMD [\"/bin/ls\", \"-l\", \"/etc\"]\n", nil)
	for _, name := range dynamicFiles {
		to := filepath.Join(dir, "root", name)
		must(t, "mkdir", "-p", filepath.Dir(to))
		must(t, "cp", "-L", filepath.Join(img.Rootfs, name), to)
	}
	return dir
}

// TestDynamic converts dynamically linked programs and compares what they do
// with native runs; natively, the converted ones' loader says how to run them.
func TestDynamic(t *testing.T) {
	dir := dynamicContext(t)
	build{dir: dir, way: syntax, output: pushed("dynamic:1")}.mustRun(t)
	must(t, megabin(), "check", "docker://"+env.image("dynamic:1"))
	native, carriers := filepath.Join(t.TempDir(), "native"), filepath.Join(t.TempDir(), "carriers")
	build{dir: dir, way: plain, output: "type=local,dest=" + native}.mustRun(t)
	build{dir: dir, way: syntax, output: "type=local,dest=" + carriers}.mustRun(t)
	for _, args := range [][]string{
		{"/bin/cat", "/etc/os-release"}, {"/bin/ls", "-la", "/usr/lib/x86_64-linux-gnu"}, {"/bin/dash", "-c", "echo $((6*7)); for i in a b; do echo $i; done"},
		{"/bin/cat", "/none"}, {"/bin/ls", "--help"},
	} {
		want := nativeRun(t, native, args)
		have := capture(t, exec.Command(megabin(), append([]string{"run", "--entrypoint", args[0], env.image("dynamic:1")}, args[1:]...)...))
		if have != want {
			t.Errorf("%q gives %+v, natively %+v", args, have, want)
		}
		if o := nativeRun(t, carriers, args); o.status != 126 || !strings.Contains(o.stderr, "megabin run IMAGE") {
			t.Errorf("%q natively in the converted image gives %+v", args, o)
		}
	}
}

func nativeRun(t *testing.T, rootfs string, args []string) outcome {
	t.Helper()
	cmd, err := oracle.Command(t.Context(), oracle.Spec{Rootfs: rootfs, Dir: "/", Args: args})
	if err != nil {
		t.Fatal(err)
	}
	return capture(t, cmd)
}
