package images

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// counting is a registry before ours that counts the bytes of blobs which it
// sends.
type counting struct {
	host  string
	bytes atomic.Int64
}

func newCounting(t *testing.T) *counting {
	t.Helper()
	c := &counting{}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: env.registry})
	proxy.ModifyResponse = func(r *http.Response) error {
		if strings.Contains(r.Request.URL.Path, "/blobs/") {
			r.Body = &counter{r.Body, &c.bytes}
		}
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	c.host = strings.TrimPrefix(server.URL, "http://")
	return c
}

type counter struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// TestInspectRemote counts what is read of an image to be inspected: its
// config and the start of the last layer.
func TestInspectRemote(t *testing.T) {
	dir := dynamicContext(t)
	build{dir: dir, way: syntax, output: pushed("inspect:frontend")}.mustRun(t)
	build{dir: dir, way: plain, output: pushed("inspect:plain")}.mustRun(t)
	mustConvert(t, env.image("inspect:plain"), env.image("inspect:convert"))
	for _, name := range []string{"inspect:frontend", "inspect:convert"} {
		registry := newCounting(t)
		if out := must(t, megabin(), "inspect", registry.host+"/"+name); !strings.Contains(out, "/bin/ls") || !strings.Contains(out, "sharing saved") {
			t.Errorf("%s: %s", name, out)
		}
		layers := int64(0)
		for _, l := range manifestOf(t, name).Layers {
			layers += l.Size
		}
		if n := registry.bytes.Load(); n == 0 || n > 150<<10 || n > layers/10 {
			t.Errorf("inspect reads %d bytes of blobs of %s, whose layers have %d", n, name, layers)
		}
	}
}

// TestMirror reads images of a registry that is nowhere from its mirrors.
func TestMirror(t *testing.T) {
	build{dir: simple(t), way: plain, output: pushed("team/app:1")}.mustRun(t)
	conf := filepath.Join(t.TempDir(), "registries.conf")
	write(t, conf, fmt.Sprintf(`
[[registry]]
location = "nowhere.invalid"
[[registry.mirror]]
location = "localhost:1"
[[registry.mirror]]
location = %q
insecure = true

[[registry]]
location = "blocked.invalid"
blocked = true
`, env.registry+"/team"))
	convert := func(source, target string) outcome {
		cmd := exec.Command(megabin(), "convert", source, target)
		cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(env.dir, "cache"), "CONTAINERS_REGISTRIES_CONF="+conf)
		return capture(t, cmd)
	}
	to := env.image("mirrored:1")
	if o := convert("nowhere.invalid/app:1", to); o.status != 0 {
		t.Fatalf("from the mirror: %+v", o)
	}
	says(t, to, "hello\n")
	must(t, megabin(), "check", "--source", env.image("team/app:1"), to)
	if o := convert("nowhere.invalid/none:1", to); o.status != 125 || !strings.Contains(o.stderr, "mirror localhost:1/none") || !strings.Contains(o.stderr, "nowhere.invalid") {
		t.Errorf("an image that is nowhere: %+v", o)
	}
	if o := convert("blocked.invalid/app:1", to); o.status != 125 || !strings.Contains(o.stderr, "blocks blocked.invalid/app:1") {
		t.Errorf("a blocked registry: %+v", o)
	}
	// A mirror is not written to.
	if o := convert(env.image("team/app:1"), "nowhere.invalid/app:2"); o.status != 125 || !strings.Contains(o.stderr, "nowhere.invalid") {
		t.Errorf("writing to it: %+v", o)
	}
}

// TestPlatform names the image of an index.
func TestPlatform(t *testing.T) {
	build{dir: simple(t), way: plain, output: pushed("chosen:both"), opts: []string{"platform=linux/amd64,linux/amd64/v2,linux/arm64"}}.mustRun(t)
	build{dir: simple(t), way: plain, output: pushed("chosen:arm"), opts: []string{"platform=linux/arm64"}}.mustRun(t)
	variants := map[string]string{}
	for _, m := range indexOf(t, "chosen:both").Manifests {
		variants[m.Platform.Architecture+"/"+m.Platform.Variant] = m.Digest
	}
	sourceOf := func(name string) string { return manifestOf(t, name).Annotations["dev.megabin.source.digest"] }
	for _, tt := range []struct{ platform, source string }{{"linux/amd64", "amd64/"}, {"linux/amd64/v2", "amd64/v2"}} {
		mustConvert(t, "--platform", tt.platform, env.image("chosen:both"), env.image("chosen:1"))
		if have := sourceOf("chosen:1"); have != variants[tt.source] {
			t.Errorf("for %s %s was converted, not %s of %v", tt.platform, have, variants[tt.source], variants)
		}
		says(t, env.image("chosen:1"), "hello\n")
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--platform", "linux/arm64", env.image("chosen:both")}, "only linux/amd64 can"},
		{[]string{"--platform", "linux/amd64/v4", env.image("chosen:both")}, "no image for linux/amd64/v4; there are: linux/amd64"},
		{[]string{env.image("chosen:arm")}, "linux/arm64"},
		{[]string{"--all-platforms", "--strict", env.image("chosen:both")}, "the image for linux/arm64 can't be converted"},
	} {
		if o := convertIn(t, env.dir, append(tt.args, env.image("chosen:bad"))...); o.status != 125 || !strings.Contains(o.stderr, tt.want) {
			t.Errorf("%q: %+v", tt.args, o)
		}
	}
	o := convertIn(t, env.dir, "--all-platforms", "--dry-run", env.image("chosen:both"))
	if o.status != 0 || strings.Count(o.stderr, "is converted") != 2 || !strings.Contains(o.stderr, variants["arm64/"]+" for linux/arm64 stays as it is") ||
		!strings.Contains(o.stderr, "1 ELF files") {
		t.Errorf("the plan: %+v", o)
	}
}
