package images

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/megabin/megabin/converter"
)

// convertIn runs megabin convert with a cache directory of its own.
func convertIn(t *testing.T, cache string, args ...string) outcome {
	t.Helper()
	cmd := exec.Command(megabin(), append([]string{"convert"}, args...)...)
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache)
	return capture(t, cmd)
}

func mustConvert(t *testing.T, args ...string) {
	t.Helper()
	if o := convertIn(t, filepath.Join(env.dir, "cache"), args...); o.status != 0 {
		t.Fatalf("convert %q ends with %d: %s", args, o.status, o.stderr)
	}
}

func says(t *testing.T, ref, want string) {
	t.Helper()
	if out := must(t, megabin(), "run", ref, "echo", "hello"); out != want {
		t.Errorf("%s says %q, want %q", ref, out, want)
	}
}

// TestDefaultIndex looks at what convert writes if nothing else is asked for:
// an index that says of the converted image what it is for and made of.
func TestDefaultIndex(t *testing.T) {
	build{dir: simple(t), way: plain, output: pushed("alone:source")}.mustRun(t)
	source, layout := env.image("alone:source"), filepath.Join(t.TempDir(), "layout")
	mustConvert(t, source, env.image("alone:1"))
	mustConvert(t, source, "oci:"+layout+":x")
	var inLayout index
	decode(t, read(t, filepath.Join(layout, "index.json")), &inLayout)
	digest := strings.TrimSpace(must(t, tool("crane"), "digest", source))
	for where, i := range map[string]index{"registry": indexOf(t, "alone:1"), "layout": inLayout} {
		if len(i.Manifests) != 1 {
			t.Fatalf("%s: the index has %+v", where, i)
		}
		m := i.Manifests[0]
		if m.Platform.OS != "linux" || m.Platform.Architecture != "amd64" || m.Annotations["dev.megabin.source.digest"] != digest || m.Annotations["dev.megabin.manifest.blake3"] == "" {
			t.Errorf("%s: the index says %+v of an image made of %s", where, m, digest)
		}
	}
	must(t, tool("crane"), "validate", "--remote", env.image("alone:1"))
	for _, ref := range []string{env.image("alone:1"), "oci:" + layout + ":x"} {
		says(t, ref, "hello\n")
		must(t, megabin(), "check", "--source", source, ref)
	}
}

// TestSummary compares what convert says at its end with its report, and the
// report with the images.
func TestSummary(t *testing.T) {
	build{dir: simple(t), way: plain, output: pushed("summary:source")}.mustRun(t)
	file, cache := filepath.Join(t.TempDir(), "report.json"), t.TempDir()
	for _, cached := range []int{0, 1} {
		o := convertIn(t, cache, "--report", file, env.image("summary:source"), env.image("summary:1"))
		var r converter.Report
		decode(t, read(t, file), &r)
		before, after := sizeOf(t, "summary:source"), sizeOf(t, "summary:1")
		if r.Layers.SourceBytes != before || r.Layers.ResultBytes != after || r.Total.ELFs != 1 || r.Total.Cached != cached || r.Total.CoveredBytes == 0 {
			t.Errorf("the report has %+v and %+v, the layers %d and %d bytes", r.Layers, r.Total, before, after)
		}
		covered := float64(r.Total.CoveredBytes) / float64(r.Total.ExecutableBytes) * 100
		want := regexp.MustCompile(fmt.Sprintf(`(?s)1 ELF files \(.*\), %d from the cache, 0 can't run; %.2f ?%% of the code covered, %d of .*layers: .* \(%.2f×\); %d functions, %d distinct\n%s\nin \d+\.\d s\n$`,
			cached, covered, r.Total.Untranslated, float64(after)/float64(before), r.Megabinary.Functions, r.Megabinary.Bodies, r.Result))
		if o.status != 0 || !want.MatchString(o.stderr) {
			t.Errorf("the summary is %s, want %s", o.stderr, want)
		}
	}
}

// sizeOf is how many bytes the layers of an image have.
func sizeOf(t *testing.T, name string) (n int64) {
	for _, l := range manifestOf(t, name).Layers {
		n += l.Size
	}
	return n
}

// TestIndexNative has one tag for runc and for megabin.
func TestIndexNative(t *testing.T) {
	dir := simple(t)
	build{dir: dir, way: plain, output: pushed("two:plain")}.mustRun(t)
	source, both := env.image("two:plain"), env.image("two:both")
	mustConvert(t, "--index-native", source, both)
	must(t, tool("crane"), "validate", "--remote", both)
	says(t, both, "hello\n")
	must(t, megabin(), "check", "--source", source, both)
	must(t, megabin(), "check", "--source", both, both)
	// Others take the source.
	want, have := configOf(t, "two:plain"), configOf(t, "two:both")
	if len(have["history"].([]any)) != len(want["history"].([]any)) {
		t.Error("crane takes the converted image")
	}
	// The same in a layout, which skopeo copies whole.
	layout := "oci:" + filepath.Join(t.TempDir(), "both") + ":x"
	mustConvert(t, "--index-native", source, layout)
	says(t, layout, "hello\n")
	must(t, "skopeo", "copy", "--all", "--dest-tls-verify=false", layout, "docker://"+env.image("two:copied"))
	says(t, env.image("two:copied"), "hello\n")
	if want, have := indexOf(t, "two:both"), indexOf(t, "two:copied"); !reflect.DeepEqual(want, have) {
		t.Errorf("the layout's index has %v, the registry's %v", have, want)
	}
}

// TestAllPlatforms converts an index with two images and their provenance.
func TestAllPlatforms(t *testing.T) {
	b := build{dir: simple(t), way: plain, output: pushed("all:plain"), opts: []string{"platform=linux/amd64,linux/arm64", "attest:provenance=mode=min"}}
	b.mustRun(t)
	for _, to := range []string{"docker://" + env.image("all:converted"), "oci-archive:" + filepath.Join(t.TempDir(), "all.tar") + ":x"} {
		mustConvert(t, "--all-platforms", env.image("all:plain"), to)
		says(t, to, "hello\n")
		must(t, megabin(), "check", "--source", env.image("all:plain"), to)
	}
	must(t, tool("crane"), "validate", "--remote", env.image("all:converted"))
	kept := map[string]bool{}
	for _, m := range indexOf(t, "all:converted").Manifests {
		kept[m.Digest] = true
	}
	for _, m := range indexOf(t, "all:plain").Manifests {
		// The arm64 image and what attests something about it.
		var amd string
		for _, i := range indexOf(t, "all:plain").Manifests {
			if i.Platform.Architecture == "amd64" {
				amd = i.Digest
			}
		}
		want := m.Digest != amd && m.Annotations["vnd.docker.reference.digest"] != amd
		if kept[m.Digest] != want {
			t.Errorf("%+v is kept: %v", m, kept[m.Digest])
		}
	}
	if o := convertIn(t, env.dir, "--all-platforms", env.image("two:none"), env.image("all:x")); o.status != 125 {
		t.Errorf("an image that is not there: %+v", o)
	}
}

// TestReferrer attaches a converted image to its source.
func TestReferrer(t *testing.T) {
	name := env.image("referred:1")
	build{dir: simple(t), way: plain, output: pushed("referred:1")}.mustRun(t)
	before := must(t, tool("crane"), "digest", name)
	if o := capture(t, exec.Command(megabin(), "run", name, "echo", "hello")); o.status != 125 || !strings.Contains(o.stderr, "converted") {
		t.Errorf("the source alone: %+v", o)
	}
	mustConvert(t, "--referrer", name)
	if after := must(t, tool("crane"), "digest", name); after != before {
		t.Errorf("the source's digest was %s and is %s", before, after)
	}
	says(t, name, "hello\n")
	must(t, megabin(), "check", "--source", name, name)
	must(t, tool("crane"), "validate", "--remote", name)
}

// TestSharedUnits converts with two machines' caches: the second one finds
// what the first one recompiled in the registry, unless it is damaged.
func TestSharedUnits(t *testing.T) {
	build{dir: simple(t), way: plain, output: pushed("shared:source")}.mustRun(t)
	units := "docker://" + env.image("units")
	first := convertIn(t, t.TempDir(), "--unit-cache", units, env.image("shared:source"), env.image("shared:1"))
	if first.status != 0 || !strings.Contains(first.stderr, " 0 from the cache") {
		t.Fatalf("the first: %+v", first)
	}
	second := convertIn(t, t.TempDir(), "--unit-cache", units, env.image("shared:source"), env.image("shared:2"))
	if second.status != 0 || !strings.Contains(second.stderr, " 1 from the cache") {
		t.Fatalf("the second: %+v", second)
	}
	if a, b := must(t, tool("crane"), "digest", env.image("shared:1")), must(t, tool("crane"), "digest", env.image("shared:2")); a != b {
		t.Errorf("the digests are %s and %s", a, b)
	}
	// A unit of another file under its key is found out.
	key := strings.Fields(must(t, tool("crane"), "ls", env.image("units")))[0]
	dir := buildContext(t, "FROM scratch\nCOPY text /text\n", map[string]string{"text": "testdata/tool.c"})
	build{dir: dir, way: plain, output: pushed("units:" + key)}.mustRun(t)
	third := convertIn(t, t.TempDir(), "--unit-cache", units, env.image("shared:source"), env.image("shared:3"))
	if third.status != 125 || !strings.Contains(third.stderr, key) {
		t.Errorf("a wrong unit: %+v", third)
	}
}

// TestPassword has a registry that asks for one, which is in docker's config.
func TestPassword(t *testing.T) {
	name := guarded(t)
	build{dir: simple(t), way: plain, output: pushed("open:1")}.mustRun(t)
	convertTo := func() outcome {
		cmd := exec.Command(megabin(), "convert", env.image("open:1"), name)
		cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(env.dir, "cache"), "DOCKER_CONFIG="+filepath.Join(env.dir, "docker"))
		return capture(t, cmd)
	}
	if o := convertTo(); o.status != 125 || !strings.Contains(o.stderr, "401") {
		t.Errorf("without a password: %+v", o)
	}
	host, _, _ := strings.Cut(name, "/")
	login := exec.Command(tool("crane"), "auth", "login", "-u", "user", "-p", "secret", host)
	login.Env = append(os.Environ(), "DOCKER_CONFIG="+filepath.Join(env.dir, "docker"))
	if o := capture(t, login); o.status != 0 {
		t.Fatalf("crane auth login: %+v", o)
	}
	if o := convertTo(); o.status != 0 {
		t.Errorf("with a password: %+v", o)
	}
	// By a credential helper, of this registry and of all.
	bin := t.TempDir()
	write(t, filepath.Join(bin, "docker-credential-some"), "#!/bin/sh\nread host; echo $1 $host >> "+bin+"/asked; echo '{\"Username\": \"user\", \"Secret\": \"secret\"}'\n")
	for _, config := range []string{`{"credHelpers": {"` + host + `": "some"}}`, `{"credsStore": "some"}`} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "config.json"), config)
		cmd := exec.Command(megabin(), "inspect", name)
		cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+dir, "PATH="+bin+":"+os.Getenv("PATH"))
		if o := capture(t, cmd); o.status != 0 || !strings.Contains(o.stdout, "/tool") {
			t.Errorf("with %s: %+v", config, o)
		}
	}
	if asked := read(t, filepath.Join(bin, "asked")); !strings.Contains(asked, "get "+host) {
		t.Errorf("the helper was asked %q", asked)
	}
}

// TestSigned signs with a key of openssl's and runs with the right key, with
// another one, with too old a version, and without a signature.
func TestSigned(t *testing.T) {
	build{dir: simple(t), way: plain, output: pushed("signed:source")}.mustRun(t)
	dir := t.TempDir()
	key, public, other := filepath.Join(dir, "key"), filepath.Join(dir, "public"), filepath.Join(dir, "other")
	must(t, "openssl", "genpkey", "-algorithm", "ed25519", "-out", key)
	must(t, "openssl", "pkey", "-in", key, "-pubout", "-out", public)
	must(t, "openssl", "genpkey", "-algorithm", "ed25519", "-out", other+".key")
	must(t, "openssl", "pkey", "-in", other+".key", "-pubout", "-out", other)
	source, signed := env.image("signed:source"), env.image("signed:1")
	mustConvert(t, "--sign-key", key, "--sign-version", "3", source, signed)
	mustConvert(t, source, env.image("signed:not"))
	must(t, tool("crane"), "validate", "--remote", signed)
	for _, tt := range []struct {
		image  string
		flags  []string
		status int
	}{
		{signed, []string{"--verify-key", public}, 0},
		{signed, []string{"--verify-key", public, "--min-version", "3", "--verify-source", strings.TrimSpace(must(t, tool("crane"), "digest", source))}, 0},
		{signed, []string{"--verify-key", public, "--min-version", "4"}, 125},
		{signed, []string{"--verify-key", other}, 125},
		{env.image("signed:not"), []string{"--verify-key", public}, 125},
	} {
		args := append(append([]string{"run"}, tt.flags...), tt.image, "echo", "hello")
		o := capture(t, exec.Command(megabin(), args...))
		if o.status != tt.status || (o.stdout != "") != (tt.status == 0) || tt.status != 0 && !strings.Contains(o.stderr, "signature") {
			t.Errorf("%q: %+v", args, o)
		}
	}
}

// TestDryRun tells what there is to do before and after it is done.
func TestDryRun(t *testing.T) {
	build{dir: simple(t), way: plain, output: pushed("dry:1")}.mustRun(t)
	cache, source, target := t.TempDir(), env.image("dry:1"), env.image("dry:2")
	before := convertIn(t, cache, "--dry-run", source)
	if before.status != 0 || !strings.Contains(before.stderr, "to be recompiled") {
		t.Errorf("before: %+v", before)
	}
	if out := capture(t, exec.Command(tool("crane"), "digest", target)); out.status == 0 {
		t.Error("something was written")
	}
	if o := convertIn(t, cache, source, target); o.status != 0 {
		t.Fatalf("%+v", o)
	}
	if after := convertIn(t, cache, "--dry-run", source); after.status != 0 || !strings.Contains(after.stderr, "in the cache") {
		t.Errorf("after: %+v", after)
	}
	if out := must(t, megabin(), "inspect", target); !strings.Contains(out, "/tool") {
		t.Errorf("inspect says %s", out)
	}
}
