package image

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
)

// configure makes text the only registries.conf.
func configure(t *testing.T, text string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "registries.conf")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_REGISTRIES_CONF", name)
}

const mirrored = `
[[registry]]
prefix = "docker.io"
[[registry.mirror]]
location = "mirror.example/hub"
[[registry.mirror]]
location = "other.example"
pull-from-mirror = "digest-only"

[[registry]]
prefix = "docker.io/library/private"
location = "localhost:5000/private"

[[registry]]
prefix = "*.corp.example"
insecure = true

[[registry]]
location = "bad.example"
blocked = true

[[registry]]
location = "digests.example"
mirror-by-digest-only = true
[[registry.mirror]]
location = "mirror.example/digests"
`

// TestMirrors has what containers-registries.conf(5) says about which tables
// count and what names become.
func TestMirrors(t *testing.T) {
	configure(t, mirrored)
	digest := "@sha256:" + strings.Repeat("a", 64)
	for path, want := range map[string]string{
		"debian:12":                   "mirror.example/hub/library/debian:12 index.docker.io/library/debian:12",
		"debian" + digest:             "mirror.example/hub/library/debian" + digest + " other.example/library/debian" + digest + " index.docker.io/library/debian" + digest,
		"private:1":                   "localhost:5000/private:1",
		"privately:1":                 "mirror.example/hub/library/privately:1 index.docker.io/library/privately:1",
		"a.b.corp.example/x:1":        "a.b.corp.example/x:1 insecure",
		"corp.example/x:1":            "corp.example/x:1",
		"docker.io.example/x:1":       "docker.io.example/x:1",
		"digests.example/x:1":         "digests.example/x:1",
		"digests.example/x" + digest:  "mirror.example/digests/x" + digest + " digests.example/x" + digest,
		"localhost:5000/app/web:tag1": "localhost:5000/app/web:tag1",
	} {
		list, err := readFrom(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		var have []string
		for _, e := range list {
			have = append(have, e.ref.Name())
			if e.insecure {
				have = append(have, "insecure")
			}
		}
		if strings.Join(have, " ") != want {
			t.Errorf("%s is read from %q, want %q", path, have, want)
		}
	}
	if _, err := readFrom("bad.example/x"); err == nil || !strings.Contains(err.Error(), "blocks bad.example/x") {
		t.Errorf("a blocked registry: %v", err)
	}
	if e, err := writeTo("private:1"); err != nil || e.ref.Name() != "index.docker.io/library/private:1" {
		t.Errorf("it is written to %v, %v", e, err)
	}
}

func TestBadRegistriesConf(t *testing.T) {
	for text, want := range map[string]string{
		"[[registry]]\nblocked = true\n": "neither prefix nor location",
		"[[registry":                     "registries.conf",
		"[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\nlocation = \"b\"\npull-from-mirror = \"never\"\n": "never",
		"[[registry]]\nprefix = \"a.example\"\n[[registry.mirror]]\nlocation = \"BAD NAME\"\n":                          "registry a.example",
	} {
		configure(t, text)
		if _, err := readFrom("a.example/x:1"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestDropIns has the user's file in place of the system's, and a drop-in's
// table in place of the file's.
func TestDropIns(t *testing.T) {
	t.Setenv("CONTAINERS_REGISTRIES_CONF", "")
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	for name, location := range map[string]string{"registries.conf": "one.example", "registries.conf.d/a.conf": "two.example"} {
		name = filepath.Join(dir, "containers", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		text := "[[registry]]\nprefix = \"user.example\"\nlocation = \"" + location + "\"\n"
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	list, err := readFrom("user.example/x:1")
	if err != nil || len(list) != 1 || list[0].ref.Name() != "two.example/x:1" {
		t.Errorf("it is read from %v, %v", list, err)
	}
}

// TestInsecure has a registry whose certificate nobody vouches for.
func TestInsecure(t *testing.T) {
	server := httptest.NewTLSServer(registry.New())
	defer server.Close()
	host := strings.Replace(strings.TrimPrefix(server.URL, "https://"), "127.0.0.1", "[::ffff:127.0.0.1]", 1)
	configure(t, "[[registry]]\nlocation = \"tls.example\"\n[[registry.mirror]]\nlocation = \""+host+"\"\ninsecure = true\n"+
		"[[registry]]\nlocation = \""+host+"\"\ninsecure = true\n")
	to, err := Parse("docker://" + host + "/x:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Write(t.Context(), empty.Image, nil); err != nil {
		t.Fatal(err)
	}
	from, err := Parse("docker://tls.example/x:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := from.OpenSource(t.Context(), ""); err != nil {
		t.Error(err)
	}
	configure(t, "")
	if _, _, err := to.OpenSource(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without a word in registries.conf: %v", err)
	}
}

// TestVariants chooses among images of one index.
func TestVariants(t *testing.T) {
	descriptor := func(variant string) v1.Descriptor {
		return v1.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Platform: &v1.Platform{OS: "linux", Architecture: "amd64", Variant: variant}}
	}
	for _, tt := range []struct{ have, want, chosen string }{
		{"v3 v2 ", "", ""}, {"v3 v2", "", "v2"}, {"v3 v2 ", "v1", ""}, {"v3 v2", "v3", "v3"}, {"v3 v2", "v1", "none"}, {"", "", ""},
	} {
		var list []v1.Descriptor
		for v := range strings.SplitSeq(tt.have, " ") {
			list = append(list, descriptor(v))
		}
		chosen := []string{}
		for _, d := range (selection{variant: tt.want}).choose(list) {
			chosen = append(chosen, d.Platform.Variant)
		}
		want := []string{tt.chosen}
		if tt.chosen == "none" {
			want = []string{}
		}
		if !slices.Equal(chosen, want) {
			t.Errorf("of %q for %q it is %q, want %q", tt.have, tt.want, chosen, want)
		}
	}
	for text, ok := range map[string]bool{"linux/amd64": true, "linux/amd64/v2": true, "linux/arm64": false, "windows/amd64": false, "a/b/c/d": false} {
		if v, err := ParseVariant(text); (err == nil) != ok {
			t.Errorf("%s: %q, %v", text, v, err)
		}
	}
}
