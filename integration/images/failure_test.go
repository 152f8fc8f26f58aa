package images

import (
	"bufio"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestKilledBuildkit kills buildkitd, and with it the converter, while a layer
// is recompiled. The build fails; started again, it works.
func TestKilledBuildkit(t *testing.T) {
	dir := simple(t)
	// Other bytes, so that the unit is in no cache.
	write(t, dir+"/tool", read(t, theProgram(t))+"killed")
	b := build{dir: dir, way: syntax, output: pushed("killed:1")}
	cmd := b.command()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started, killed := false, false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		started = started || strings.Contains(lines.Text(), "[megabin] recompile [1/1]")
		// The first thing that it says is that the layer is read.
		if started && !killed && strings.Contains(lines.Text(), `"logs"`) {
			killed = true
			kill(t)
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the build works without buildkitd")
	}
	if !killed {
		t.Fatal("nothing was recompiled")
	}
	unmountBelow(env.dir)
	if err := env.startBuildkit(); err != nil {
		t.Fatal(err)
	}
	b.mustRun(t)
	must(t, megabin(), "check", "docker://"+env.image("killed:1"))
	if out := must(t, megabin(), "run", env.image("killed:1"), "echo", "hello"); out != "hello\n" {
		t.Errorf("it says %q", out)
	}
}

// kill kills buildkitd at once.
func kill(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(env.buildkit.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	env.buildkit.Wait()
}

// TestRegistryDown pushes to a registry that is not there.
func TestRegistryDown(t *testing.T) {
	b := build{dir: simple(t), way: syntax, output: "type=image,name=localhost:1/nowhere,push=true"}
	p, ok := b.run(t)
	if ok || !strings.Contains(p.rest, "localhost:1") || !strings.Contains(p.rest, "refused") {
		t.Errorf("pushing works: %v: %s", ok, p.rest)
	}
}

// fatal is a way to a registry that kills it once so many bytes of blobs went
// by, in either direction.
type fatal struct {
	registry *another
	left     atomic.Int64
	once     sync.Once
}

func (f *fatal) Write(p []byte) (int, error) {
	if f.left.Add(-int64(len(p))) < 0 {
		f.once.Do(func() { f.registry.cmd.Process.Kill() })
		return 0, io.ErrUnexpectedEOF // also of what is on its way already
	}
	return len(p), nil
}

// counted tells f what is read.
func (f *fatal) counted(r io.ReadCloser) io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(r, f), r}
}

// newFatal returns the host of the way.
func newFatal(t *testing.T, registry *another, bytes int64) string {
	t.Helper()
	f := &fatal{registry: registry}
	f.left.Store(bytes)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: registry.host})
	director := proxy.Director
	proxy.Director = func(r *http.Request) {
		director(r)
		if r.Body != nil && strings.Contains(r.URL.Path, "/blobs/") {
			r.Body = f.counted(r.Body)
		}
	}
	proxy.ModifyResponse = func(r *http.Response) error {
		if strings.Contains(r.Request.URL.Path, "/blobs/sha256") {
			r.Body = f.counted(r.Body)
		}
		return nil
	}
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// TestKilledRegistry kills a registry while a converted image is pushed, while
// a source is read, and while an image is started. Each fails, says where, and
// works when the registry is back.
func TestKilledRegistry(t *testing.T) {
	registry := newAnother(t, "")
	build{dir: simple(t), way: plain, output: pushed("mid:source")}.mustRun(t)
	cache := "XDG_CACHE_HOME=" + t.TempDir()
	megabin := func(args ...string) outcome {
		cmd := exec.Command(megabin(), args...)
		cmd.Env = append(os.Environ(), cache)
		return capture(t, cmd)
	}
	must(t, tool("crane"), "copy", env.image("mid:source"), registry.host+"/mid:source")
	const some = 100 << 10 // bytes; the program's layer is larger
	for _, tt := range []struct {
		what string
		args func(host string) []string
	}{
		{"pushing", func(host string) []string { return []string{"convert", env.image("mid:source"), host + "/mid:1"} }},
		{"reading", func(host string) []string {
			return []string{"convert", host + "/mid:source", "oci:" + filepath.Join(t.TempDir(), "o")}
		}},
		{"starting", func(host string) []string { return []string{"run", host + "/mid:1", "echo", "hello"} }},
	} {
		host := newFatal(t, registry, some)
		o := megabin(tt.args(host)...)
		if o.status != 125 || !strings.Contains(o.stderr, host) || o.stdout != "" {
			t.Errorf("%s: %+v", tt.what, o)
		}
		registry.cmd.Wait()
		registry.start(t)
		if o := megabin(tt.args(registry.host)...); o.status != 0 {
			t.Errorf("%s again: %+v", tt.what, o)
		}
	}
	must(t, tool("crane"), "validate", "--remote", registry.host+"/mid:1")
	if o := megabin("check", "--source", registry.host+"/mid:source", registry.host+"/mid:1"); o.status != 0 {
		t.Errorf("check: %+v", o)
	}
	// The build's push is BuildKit's; what it left in its cache is whole too.
	b := build{dir: simple(t), way: syntax, output: "type=image,name=" + newFatal(t, registry, some) + "/built:1,push=true"}
	if p, ok := b.run(t); ok || p.rest == "" {
		t.Errorf("a build pushes to a dead registry: %v, %s", ok, p.rest)
	}
	registry.cmd.Wait()
	registry.start(t)
	b.output = "type=image,name=" + registry.host + "/built:1,push=true"
	b.mustRun(t)
	if o := megabin("check", registry.host+"/built:1"); o.status != 0 {
		t.Errorf("check of what was built: %+v", o)
	}
}
