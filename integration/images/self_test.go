package images

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestOwnDockerfile builds the image that the Dockerfile at the root is about,
// with the binary that the tests have in place of the stage that compiles one.
// The image is the one that make frontend-image makes, and is a frontend.
func TestOwnDockerfile(t *testing.T) {
	stage := buildContext(t, "FROM scratch\nCOPY megabin /megabin\n", map[string]string{"megabin": frontendBinary()})
	build{dir: stage, way: plain, output: pushed("self:build")}.mustRun(t)
	root := filepath.Join("..", "..")
	build{dir: root, way: plain, output: pushed("self:1"), opts: []string{"context:build=docker-image://" + env.image("self:build")}}.mustRun(t)
	ownImage(t, "self:1")
	// Our frontend finds nothing wrong with it that BuildKit's does not.
	out := mustBuildx(t, "build", "--call", "check", "--build-context", "golang:1.26-bookworm=docker-image://"+env.image("self:build"), "--build-arg", "BUILDKIT_SYNTAX="+env.image("megabin"), root)
	if !strings.Contains(out.stdout, "no warnings") {
		t.Errorf("check says %s", out.stdout)
	}
}

// ownImage checks that an image is the frontend's.
func ownImage(t *testing.T, name string) {
	t.Helper()
	want, have := configOf(t, "megabin")["config"].(map[string]any), configOf(t, name)["config"].(map[string]any)
	for _, key := range []string{"Entrypoint", "Labels", "Cmd"} {
		if !reflect.DeepEqual(want[key], have[key]) {
			t.Errorf("%s is %v, of make frontend-image %v", key, have[key], want[key])
		}
	}
	dir := simple(t)
	file := filepath.Join(dir, "syntax.Dockerfile")
	write(t, file, strings.Replace(read(t, file), env.image("megabin"), env.image(name), 1))
	build{dir: dir, way: syntax, output: pushed(name + "-built")}.mustRun(t)
	says(t, env.image(name+"-built"), "hello\n")
}

// TestOwnDockerfileFromSource builds all of it, the stage that compiles too: the
// toolchain's image is made of the one here, the modules' proxy is a directory
// with those that this module needs. It takes some minutes of a processor.
func TestOwnDockerfileFromSource(t *testing.T) {
	if os.Getenv("MEGABIN_CONFORMANCE") == "" {
		t.Skip("compiling all from nothing takes minutes: run with MEGABIN_CONFORMANCE=1")
	}
	toolchain := buildContext(t, "FROM "+theBusybox(t)+`
COPY --from=goroot . /usr/local/go
COPY --from=modules . /modules
RUN mkdir -p /tmp /root
ENV PATH=/usr/local/go/bin:/bin HOME=/root GOTOOLCHAIN=local GOPROXY=file:///modules
`, nil)
	goroot := strings.TrimSpace(must(t, "go", "env", "GOROOT"))
	build{dir: toolchain, way: plain, output: pushed("golang:1"), opts: []string{"context:goroot=local:goroot", "context:modules=local:modules"},
		args: []string{"--local", "goroot=" + goroot, "--local", "modules=" + moduleProxy(t)}}.mustRun(t)
	build{dir: filepath.Join("..", ".."), way: plain, output: pushed("source:1"), opts: []string{"context:golang:1.26-bookworm=docker-image://" + env.image("golang:1")}}.mustRun(t)
	ownImage(t, "source:1")
}

// moduleProxy makes a directory that is a module proxy: with the modules that
// this one needs, and all that is known here of others, which the module graph
// may name.
func moduleProxy(t *testing.T) string {
	t.Helper()
	cache, dir := filepath.Join(strings.TrimSpace(must(t, "go", "env", "GOMODCACHE")), "cache", "download"), t.TempDir()
	needed := map[string]bool{}
	for list := json.NewDecoder(strings.NewReader(must(t, "go", "mod", "download", "-json"))); list.More(); {
		var m struct{ Zip string }
		if err := list.Decode(&m); err != nil {
			t.Fatal(err)
		}
		needed[m.Zip] = true
	}
	err := filepath.WalkDir(cache, func(name string, d fs.DirEntry, err error) error {
		ext := filepath.Ext(name)
		if err != nil || d.IsDir() || ext != ".mod" && ext != ".info" && !needed[name] {
			return err
		}
		to := filepath.Join(dir, strings.TrimPrefix(name, cache))
		return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), link(name, to))
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
