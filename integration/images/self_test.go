package images

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestOwnDockerfile builds the image that the Dockerfile at the root is about,
// with the binary that the tests have in place of the stage that compiles one,
// which needs a toolchain's image and all modules. The image is the one that
// make frontend-image makes, and is a frontend.
func TestOwnDockerfile(t *testing.T) {
	stage := buildContext(t, "FROM scratch\nCOPY megabin /megabin\n", map[string]string{"megabin": megabin()})
	build{dir: stage, way: plain, output: pushed("self:build")}.mustRun(t)
	root := filepath.Join("..", "..")
	build{dir: root, way: plain, output: pushed("self:1"), opts: []string{"context:build=docker-image://" + env.image("self:build")}}.mustRun(t)
	want, have := configOf(t, "megabin")["config"].(map[string]any), configOf(t, "self:1")["config"].(map[string]any)
	for _, key := range []string{"Entrypoint", "Labels", "Cmd"} {
		if !reflect.DeepEqual(want[key], have[key]) {
			t.Errorf("%s is %v, of make frontend-image %v", key, have[key], want[key])
		}
	}
	dir := simple(t)
	file := filepath.Join(dir, "syntax.Dockerfile")
	write(t, file, strings.Replace(read(t, file), env.image("megabin"), env.image("self:1"), 1))
	build{dir: dir, way: syntax, output: pushed("self:built")}.mustRun(t)
	says(t, env.image("self:built"), "hello\n")
	// Our frontend finds nothing wrong with it that BuildKit's does not.
	out := mustBuildx(t, "build", "--call", "check", "--build-context", "golang:1.26-bookworm=docker-image://"+env.image("self:build"), "--build-arg", "BUILDKIT_SYNTAX="+env.image("megabin"), root)
	if !strings.Contains(out.stdout, "no warnings") {
		t.Errorf("check says %s", out.stdout)
	}
}
