package images

import (
	"bufio"
	"strings"
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
