package images

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// buildx runs docker buildx with a builder that is our buildkitd, and without
// any container engine.
func buildx(args ...string) *exec.Cmd {
	cmd := exec.Command(tool("buildx"), args...)
	cmd.Env = append(os.Environ(), "BUILDX_CONFIG="+filepath.Join(env.dir, "buildx"), "BUILDX_BUILDER=megabin", "DOCKER_CONFIG="+filepath.Join(env.dir, "docker"))
	return cmd
}

var builder = sync.OnceValue(func() error {
	return buildx("create", "--name", "megabin", "--driver", "remote", "unix://"+env.socket).Run()
})

func mustBuildx(t *testing.T, args ...string) outcome {
	t.Helper()
	if err := builder(); err != nil {
		t.Fatal(err)
	}
	o := capture(t, buildx(args...))
	if o.status != 0 {
		t.Fatalf("buildx %q ends with %d:\n%s", args, o.status, o.stderr)
	}
	return o
}

func TestBuildx(t *testing.T) {
	dir := buildContext(t, "FROM scratch\nCOPY tool /tool\nENTRYPOINT [\"/tool\"]\n", map[string]string{"tool": theProgram(t)})
	file := filepath.Join(dir, "syntax.Dockerfile")
	name := env.image("buildx:1")
	o := mustBuildx(t, "build", "--progress", "plain", "-f", file, "--push", "-t", name, dir)
	if step := "[megabin] recompile [1/1] COPY tool /tool"; !strings.Contains(o.stderr, step) {
		t.Errorf("the progress has no %q:\n%s", step, o.stderr)
	}
	// buildx asks for provenance, so this is an index.
	if !strings.Contains(must(t, tool("crane"), "manifest", name), "attestation-manifest") {
		t.Error("the image has no provenance")
	}
	must(t, megabin(), "check", "docker://"+name)
	if out := must(t, megabin(), "run", name, "echo", "hello"); out != "hello\n" {
		t.Errorf("it says %q", out)
	}
}

// TestSubrequests checks that what is asked about a Dockerfile has BuildKit's
// own answer.
func TestSubrequests(t *testing.T) {
	dir := buildContext(t, "ARG X=1\nFROM scratch AS one\nCOPY tool /tool\nFROM one AS two\ncopy tool /again\n", map[string]string{"tool": theProgram(t)})
	// The same lines in both, but for what the first of them says.
	write(t, filepath.Join(dir, "plain.Dockerfile"), "# no syntax\n"+read(t, filepath.Join(dir, "Dockerfile")))
	if err := builder(); err != nil {
		t.Fatal(err)
	}
	for _, call := range []string{"outline", "targets", "check"} {
		ask := func(file string) outcome {
			return capture(t, buildx("build", "--call", call+",format=json", "-f", filepath.Join(dir, file), dir))
		}
		want, have := ask("plain.Dockerfile"), ask("syntax.Dockerfile")
		if have.status != want.status || len(want.stdout) < 10 ||
			!reflect.DeepEqual(withoutSource(t, have.stdout), withoutSource(t, want.stdout)) {
			t.Errorf("%s gives %+v, BuildKit %+v", call, have, want)
		}
	}
}

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// withoutSource drops the Dockerfiles themselves from an answer.
func withoutSource(t *testing.T, text string) map[string]any {
	t.Helper()
	m := map[string]any{}
	decode(t, text, &m)
	for _, key := range []string{"sources", "buildRef"} {
		delete(m, key)
	}
	return m
}
