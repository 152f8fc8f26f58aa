package images

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestBigLayer converts and checks a layer of a gigabyte, of 10 GB where
// MEGABIN_CONFORMANCE is set, in no more memory than a small one takes.
func TestBigLayer(t *testing.T) {
	size := "1G"
	if os.Getenv("MEGABIN_CONFORMANCE") != "" {
		size = "10G"
	}
	used := map[string]int64{}
	for _, size := range []string{"1M", size} {
		source, converted := env.image("big:"+size), env.image("big:"+size+"-converted")
		pushBig(t, size, source)
		mustConvert(t, source, converted) // so that what is measured next does not recompile
		convert := exec.Command(megabin(), "convert", source, converted)
		convert.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(env.dir, "cache"))
		used["convert "+size] = peak(t, convert)
		used["check "+size] = peak(t, exec.Command(megabin(), "check", "--source", source, converted))
		used["run "+size] = peak(t, exec.Command(megabin(), "run", converted, "echo", "hello"))
	}
	const slack = 64 << 20 // bytes: what the garbage collector lets lie about
	for _, what := range []string{"convert", "check", "run"} {
		t.Logf("%s: %d MB, %d MB", what, used[what+" 1M"]>>20, used[what+" "+size]>>20)
		if used[what+" "+size] > used[what+" 1M"]+slack {
			t.Errorf("%s takes %d bytes of memory for %s, %d for 1M", what, used[what+" "+size], size, used[what+" 1M"])
		}
	}
}

// pushBig pushes an image with the program between two files, one empty and
// the other of random content.
func pushBig(t *testing.T, size, name string) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tool"), read(t, theProgram(t)))
	must(t, "truncate", "-s", size, filepath.Join(dir, "a"))
	must(t, "dd", "if=/dev/urandom", "of="+filepath.Join(dir, "z"), "bs=1M", "count=16", "status=none")
	layer := filepath.Join(dir, "layer.tar.gz")
	must(t, "sh", "-c", fmt.Sprintf("tar -C %s -cf - a tool z | gzip -1 > %s", dir, layer))
	must(t, tool("crane"), "append", "--oci-empty-base", "-f", layer, "-t", name+"-raw")
	must(t, tool("crane"), "mutate", "--set-platform", "linux/amd64", "--entrypoint", "/tool", name+"-raw", "-t", name)
}

// peak runs a command that has to work and tells how much memory it had, in
// bytes.
func peak(t *testing.T, cmd *exec.Cmd) int64 {
	t.Helper()
	if o := capture(t, cmd); o.status != 0 {
		t.Fatalf("%q: %+v", cmd.Args, o)
	}
	return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
}
