package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/megabin/megabin/integration/cases"
	"github.com/megabin/megabin/integration/oracle"
)

// Where a case finds its inputs and its scratch directory.
const (
	guestFixtures = "/f"
	guestScratch  = "/w"
)

// outcome is what a step is compared by.
type outcome struct {
	stdout, stderr []byte
	status         int // 128+n after signal n
}

// side is one way to run a command: the originals natively, or the converted
// ones by megabin. scratch is the host directory that is /w inside.
type side func(ctx context.Context, scratch string, cmd cases.Command, env []string) (*exec.Cmd, error)

// native runs in a chroot of the source's root filesystem.
func native(t testing.TB) side {
	rootfs := need(t, source).Rootfs
	fix := need(t, fixtures)
	return func(ctx context.Context, scratch string, cmd cases.Command, env []string) (*exec.Cmd, error) {
		return oracle.Command(ctx, oracle.Spec{
			Rootfs: rootfs,
			Binds:  []oracle.Bind{{Source: fix, Target: guestFixtures, ReadOnly: true}, {Source: scratch, Target: guestScratch}},
			Dir:    guestScratch, Env: env, Args: cmd.Args,
		})
	}
}

// recompiled runs the converted image with megabin run.
func recompiled(t testing.TB) side {
	ref := need(t, converted)
	fix := need(t, fixtures)
	return func(ctx context.Context, scratch string, cmd cases.Command, env []string) (*exec.Cmd, error) {
		args := []string{"run", "-i", "-w", guestScratch,
			"-v", fix + ":" + guestFixtures + ":ro", "-v", scratch + ":" + guestScratch}
		for _, kv := range env {
			args = append(args, "-e", kv)
		}
		args = append(append(args, ref), cmd.Args...)
		return exec.CommandContext(ctx, megabin(), args...), nil
	}
}

// runCase does all steps of a case and describes the tree they leave.
func (run side) runCase(t testing.TB, c cases.Case) (steps []outcome, tree string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Steps {
		o, err := run.step(dir, c, s)
		if err != nil {
			t.Fatalf("%s:%d: %s: %v", c.File, s.Line, s.Text, err)
		}
		steps = append(steps, o)
	}
	tree, err := describeTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	return steps, tree
}

func (run side) step(dir string, c cases.Case, s cases.Step) (outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	cmd, err := run(ctx, dir, s.Command, stepEnv(c, s))
	if err != nil {
		return outcome{}, err
	}
	in, err := openStdin(dir, s.Command)
	if err != nil {
		return outcome{}, err
	}
	defer in.Close()
	var out, errb bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &errb
	status, err := exitStatus(cmd.Run())
	if ctx.Err() != nil {
		return outcome{}, fmt.Errorf("still running after %v; stderr so far: %s", stepTimeout, errb.Bytes())
	}
	if err == nil && oracle.Failed(status, errb.Bytes()) {
		err = errors.New(errb.String())
	}
	if err != nil {
		return outcome{}, err
	}
	return outcome{filter(c, out.Bytes()), filter(c, errb.Bytes()), status}, nil
}

func stepEnv(c cases.Case, s cases.Step) []string {
	env := append([]string(nil), baseEnv...)
	if c.Locale != "" {
		env = append(env, "LC_ALL="+c.Locale)
	}
	for _, kv := range s.Env {
		name, _, _ := strings.Cut(kv, "=")
		kept := env[:0]
		for _, old := range env {
			if !strings.HasPrefix(old, name+"=") {
				kept = append(kept, old)
			}
		}
		env = append(kept, kv)
	}
	return env
}

// openStdin gives a file, so that programs which seek or splice see the same
// kind of input on both sides.
func openStdin(dir string, cmd cases.Command) (*os.File, error) {
	if cmd.StdinFile != "" {
		fix, err := fixtures()
		if err != nil {
			return nil, err
		}
		path := cmd.StdinFile
		if rel, ok := strings.CutPrefix(path, guestFixtures+"/"); ok {
			path = filepath.Join(fix, rel)
		} else if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		return os.Open(path)
	}
	f, err := os.CreateTemp(filepath.Dir(dir), "stdin-")
	if err != nil {
		return nil, err
	}
	if _, err := f.WriteString(cmd.Stdin); err != nil {
		return nil, err
	}
	_, err = f.Seek(0, 0)
	return f, err
}

// exitStatus follows the shell's convention; err is for what could not be run.
func exitStatus(err error) (int, error) {
	var ee *exec.ExitError
	if !errors.As(err, &ee) {
		return 0, err
	}
	if ws, ok := ee.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return ee.ExitCode(), nil
}

func filter(c cases.Case, out []byte) []byte {
	for _, f := range c.Filters {
		out = f.Apply(out)
	}
	return out
}
