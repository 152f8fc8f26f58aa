package images

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/megabin/megabin/integration/debian"
	"github.com/megabin/megabin/integration/oracle"
)

// Bases of the examples: Debian packages that are enough for them.
var (
	runtimeBase = []string{"libc6", "libgcc-s1"}
	pythonBase  = append([]string{"python3-minimal", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "zlib1g", "libexpat1"}, runtimeBase...)
	gitBase     = append([]string{"git", "libpcre2-8-0", "zlib1g"}, runtimeBase...)
	gccBase     = append([]string{"gcc-12", "gcc", "cpp-12", "libgcc-12-dev", "libc6-dev", "linux-libc-dev", "libcrypt-dev", "binutils", "binutils-x86-64-linux-gnu",
		"binutils-common", "libbinutils", "libctf0", "libctf-nobfd0", "libjansson4", "libisl23", "libmpc3", "libmpfr6", "libgmp10", "libzstd1", "zlib1g",
		"libstdc++6", "dash"}, runtimeBase...)
	goBase = append([]string{"golang-go", "golang-src", "golang-1.19-go", "golang-1.19-src", "dash"}, runtimeBase...)
)

// left out of bases: the 250 modules of iconv, and git's helpers, of which each
// has most of git in it.
var leftOut = []string{"./usr/lib/x86_64-linux-gnu/gconv", "./usr/lib/git-core/git-*", "./usr/bin/scalar", "./usr/share/doc"}

// base pushes an image of packages and returns its name.
func base(t *testing.T, name string, packages []string) string {
	t.Helper()
	cache, err := debian.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	rootfs, err := debian.Unpack(t.Context(), packages, cache, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	layer, empty := filepath.Join(t.TempDir(), "layer.tar"), t.TempDir()
	must(t, "mkdir", "-m", "1777", filepath.Join(empty, "tmp"))
	args := []string{"--numeric-owner", "--owner=0", "--group=0", "--sort=name", "-cf", layer}
	for _, name := range leftOut {
		args = append(args, "--exclude="+name)
	}
	must(t, "tar", append(args, "-C", rootfs, ".", "-C", empty, "./tmp")...)
	raw, ref := env.image(name+":raw"), env.image(name+":base")
	must(t, tool("crane"), "append", "--oci-empty-base", "-f", layer, "-t", raw)
	must(t, tool("crane"), "mutate", "--set-platform", "linux/amd64", "--env", "PATH=/usr/bin:/bin", "--env", "HOME=/root", raw, "-t", ref)
	return ref
}

// example is a directory of ../../examples.
type example struct {
	dir   string
	bases map[string]string // build argument → image
}

// build builds it in a way; its syntax line names our frontend.
func (e example) build(t *testing.T, way, output string) {
	t.Helper()
	dir := t.TempDir()
	must(t, "cp", "-a", filepath.Join("..", "..", "examples", e.dir)+"/.", dir)
	text := read(t, filepath.Join(dir, "Dockerfile"))
	first, rest, _ := strings.Cut(text, "\n")
	if first != "# syntax=localhost:5000/megabin" {
		t.Fatalf("the first line is %q", first)
	}
	write(t, filepath.Join(dir, "Dockerfile"), rest)
	write(t, filepath.Join(dir, "syntax.Dockerfile"), strings.Replace(first, "localhost:5000", env.registry, 1)+"\n"+rest)
	b := build{dir: dir, way: way, output: output}
	for arg, image := range e.bases {
		b.opts = append(b.opts, "build-arg:"+arg+"="+image)
	}
	b.mustRun(t)
}

// built pushes the converted image and unpacks the plain one.
func (e example) built(t *testing.T) (name, rootfs string) {
	t.Helper()
	name, rootfs = env.image("example/"+e.dir), filepath.Join(t.TempDir(), "rootfs")
	e.build(t, syntax, pushed("example/"+e.dir))
	e.build(t, plain, "type=local,dest="+rootfs)
	must(t, megabin(), "check", "docker://"+name)
	return name, rootfs
}

// same runs a command line in the converted image, whose entrypoint begins it,
// and natively.
func same(t *testing.T, name, rootfs, dir, stdin string, entrypoint []string, args ...string) {
	t.Helper()
	native, err := oracle.Command(t.Context(), oracle.Spec{Rootfs: rootfs, Dir: dir, Args: append(entrypoint, args...)})
	if err != nil {
		t.Fatal(err)
	}
	converted := exec.Command(megabin(), append([]string{"run", "-i", name}, args...)...)
	for _, cmd := range []*exec.Cmd{native, converted} {
		if stdin != "" {
			cmd.Stdin = io.Reader(strings.NewReader(stdin))
		}
	}
	if want, have := capture(t, native), capture(t, converted); have != want || want.stdout+want.stderr == "" {
		t.Errorf("%s %q gives %+v, natively %+v", name, args, have, want)
	}
}

func TestExamplePython(t *testing.T) {
	e := example{"python-app", map[string]string{"PYTHON": base(t, "python", pythonBase)}}
	name, rootfs := e.built(t)
	same(t, name, rootfs, "/app", "one two one Three\nTHREE three four", []string{"/usr/bin/python3", "words.py"})
}

func TestExampleGit(t *testing.T) {
	e := example{"git-image", map[string]string{"GIT": base(t, "git", gitBase)}}
	name, rootfs := e.built(t)
	same(t, name, rootfs, "/work", "hello\n", []string{"/usr/bin/git"}, "hash-object", "--stdin")
	same(t, name, rootfs, "/work", "", []string{"/usr/bin/git"}, "log")
	// A repository of the host, read by its own git and by the image's.
	repo := t.TempDir()
	git := func(args ...string) string { return must(t, "git", append([]string{"-C", repo}, args...)...) }
	git("init", "-q", "-b", "main")
	write(t, filepath.Join(repo, "file"), "text\n")
	must(t, megabin(), "run", "-v", repo+":/work", name, "add", "file")
	must(t, megabin(), "run", "-v", repo+":/work", name, "commit", "-q", "-m", "by the image")
	if want, have := git("log", "--stat"), must(t, megabin(), "run", "-v", repo+":/work", name, "log", "--stat"); have != want || !strings.Contains(want, "by the image") {
		t.Errorf("log gives\n%s\nthe host's git\n%s", have, want)
	}
}

func TestExampleC(t *testing.T) {
	e := example{"c-build", map[string]string{"GCC": base(t, "gcc", gccBase), "RUNTIME": base(t, "runtime", runtimeBase)}}
	name, rootfs := e.built(t)
	for _, arg := range []string{"5", "100", "none"} {
		same(t, name, rootfs, "/", "", []string{"/usr/bin/primes"}, arg)
	}
}

func TestExampleGo(t *testing.T) {
	e := example{"go-service", map[string]string{"GO": base(t, "go", goBase)}}
	name, rootfs := e.built(t)
	same(t, name, rootfs, "/", "", []string{"/service"}, "-once")
	address := freeAddress(t)
	service := exec.Command(megabin(), "run", "-p", address+":8080", name)
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		service.Process.Kill()
		service.Wait()
	})
	for _, path := range []string{"you", "and/you"} {
		if got, want := get(t, "http://"+address+"/"+path), "hello, "+path+"\n"; got != want {
			t.Errorf("the service answers %q, want %q", got, want)
		}
	}
}

// freeAddress is a TCP address of the host that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// get asks a server that may still be starting.
func get(t *testing.T, url string) string {
	t.Helper()
	var err error
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(20 * time.Millisecond) {
		var answer *http.Response
		if answer, err = http.Get(url); err != nil {
			continue
		}
		defer answer.Body.Close()
		var body []byte
		if body, err = io.ReadAll(answer.Body); err == nil {
			return string(body)
		}
	}
	t.Fatal(err)
	return ""
}
