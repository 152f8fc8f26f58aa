package images

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

var ctxBackground = context.Background()

// ways to hand a Dockerfile to BuildKit.
const (
	plain   = "plain"   // BuildKit's own frontend: what is not converted
	syntax  = "syntax"  // # syntax= in the Dockerfile
	gateway = "gateway" // gateway.v0 with our image as source
)

// build is a call of buildctl.
type build struct {
	dir    string   // the context
	way    string   // plain, syntax or gateway
	opts   []string // K=V
	output string   // of buildctl
	args   []string // more of buildctl's
}

// pushed is the output that pushes an image.
func pushed(name string) string { return "type=image,name=" + env.image(name) + ",push=true" }

// context makes a directory with a Dockerfile and files, which are copied.
func buildContext(t testing.TB, dockerfile string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "Dockerfile"), dockerfile)
	write(t, filepath.Join(dir, "syntax.Dockerfile"), "# syntax="+env.image("megabin")+"\n"+dockerfile)
	for name, from := range files {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(b))
	}
	return dir
}

func write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// command is buildctl's command line.
func (b build) command() *exec.Cmd {
	args := []string{"--addr", "unix://" + env.socket, "build", "--progress", "rawjson",
		"--local", "context=" + b.dir, "--local", "dockerfile=" + b.dir}
	switch b.way {
	case plain:
		args = append(args, "--frontend", "dockerfile.v0")
	case syntax:
		args = append(args, "--frontend", "dockerfile.v0", "--opt", "filename=syntax.Dockerfile")
	case gateway:
		args = append(args, "--frontend", "gateway.v0", "--opt", "source="+env.image("megabin"))
	}
	for _, o := range b.opts {
		args = append(args, "--opt", o)
	}
	if b.output != "" {
		args = append(args, "--output", b.output)
	}
	return exec.Command(tool("buildctl"), append(args, b.args...)...)
}

// vertex is an operation as BuildKit tells about it.
type vertex struct {
	Name   string
	Cached bool
	Error  string
}

// progress is what a build told.
type progress struct {
	vertexes map[string]vertex // by name, as they were last
	logs     string            // of the operations
	rest     string            // lines that are no progress: errors
	stdout   string
}

// run runs a build and tells whether it worked.
func (b build) run(t testing.TB) (progress, bool) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := b.command()
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	p := progress{vertexes: map[string]vertex{}, stdout: stdout.String()}
	for line := range strings.Lines(stderr.String()) {
		var status struct {
			Vertexes []vertex
			Logs     []struct{ Data []byte }
			Warnings []struct{ Short []byte }
		}
		if json.Unmarshal([]byte(line), &status) != nil {
			p.rest += line
			continue
		}
		for _, v := range status.Vertexes {
			p.vertexes[v.Name] = v
		}
		for _, l := range status.Logs {
			p.logs += string(l.Data)
		}
		for _, w := range status.Warnings {
			p.logs += string(w.Short) + "\n"
		}
	}
	return p, err == nil
}

// mustRun runs a build that has to work.
func (b build) mustRun(t testing.TB) progress {
	t.Helper()
	p, ok := b.run(t)
	if !ok {
		t.Fatalf("%s build of %s failed:\n%s\n%s", b.way, b.dir, p.logs, p.rest)
	}
	return p
}

// manifestOf is the manifest that crane gives for an image in the registry.
func manifestOf(t testing.TB, name string) v1.Manifest {
	t.Helper()
	var m v1.Manifest
	decode(t, must(t, tool("crane"), "manifest", "--platform", "linux/amd64", env.image(name)), &m)
	return m
}

// configOf is an image's config, member by member.
func configOf(t testing.TB, name string) map[string]any {
	t.Helper()
	config := map[string]any{}
	decode(t, must(t, tool("crane"), "config", "--platform", "linux/amd64", env.image(name)), &config)
	return config
}

func decode(t testing.TB, text string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// program is the static program of testdata, made once.
var program = sync.OnceValues(func() (string, error) {
	name := filepath.Join(env.dir, "tool")
	out, err := exec.Command("gcc", "-O1", "-static", "-o", name, "testdata/tool.c").CombinedOutput()
	os.Stderr.Write(out)
	return name, err
})

func theProgram(t testing.TB) string {
	t.Helper()
	name, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return name
}
