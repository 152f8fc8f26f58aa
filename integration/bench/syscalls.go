package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// microRow is a row that prints nanoseconds itself, a line for each time.
type microRow struct {
	name  string
	args  []string
	unit  float64 // nanoseconds of what the table shows
	execs bool    // it starts programs, which qemu-user would run natively
}

const micro = share + "/micro"

// repo is a shell script that runs a command in a repository of 5,000 files,
// whose index knows the files.
func repo(command string) []string {
	return []string{"/bin/sh", "-c", "set -e; tar -xof " + share + "/repo.tar -C /tmp; cd /tmp/repo; git status >/dev/null; exec " + micro + " run 5 " + command}
}

const microseconds, milliseconds = 1e3, 1e6

var syscallRows = []microRow{
	{"getpid", []string{micro, "getpid"}, microseconds, false},
	{"pipe ping-pong", []string{micro, "pipe"}, microseconds, false},
	{"futex wake and wait", []string{micro, "futex"}, microseconds, false},
	{"fork and wait", []string{micro, "fork"}, microseconds, false},
	{"spawn true", []string{micro, "spawn"}, microseconds, true},
	{"create", []string{micro, "create"}, microseconds, false},
	{"stat", []string{micro, "stat"}, microseconds, false},
	{"unlink", []string{micro, "unlink"}, microseconds, false},
	{"read 4K", []string{micro, "read4k"}, microseconds, false},
	{"write 4K", []string{micro, "write4k"}, microseconds, false},
	{"read 1M", []string{micro, "read1m"}, microseconds, false},
	{"write 1M", []string{micro, "write1m"}, microseconds, false},
	{"mmap and touch a page", []string{micro, "mmap"}, microseconds, false},
	{"script of 100 commands", []string{micro, "run", "5", "/bin/sh", share + "/script.sh"}, milliseconds, true},
	{"git status", repo("/usr/bin/git status"), milliseconds, true},
	{"git log -p", repo("/usr/bin/git --no-pager log -p -20"), milliseconds, true},
	{"python3 -c pass", []string{micro, "run", "10", "/usr/bin/python3", "-c", "pass"}, milliseconds, true},
}

// syscalls prints what system calls and small programs take on each kernel.
func (b *bench) syscalls(ctx context.Context) error {
	rows := wanted(b, "syscalls", syscallRows, func(r microRow) string { return r.name })
	if len(rows) == 0 {
		return nil
	}
	by, err := b.kernelsToCompare(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("system calls and processes, least of some batches; native is the time, the others are multiples of it\n\n%-24s %12s", "", by[0].name)
	for _, r := range by[1:] {
		fmt.Printf(" %10s", r.name)
	}
	fmt.Println()
	for _, row := range rows {
		if err := b.syscallRow(ctx, row, by); err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
	}
	fmt.Println()
	return nil
}

var unitNames = map[float64]string{microseconds: "µs", milliseconds: "ms"}

func (b *bench) syscallRow(ctx context.Context, row microRow, by []system) error {
	var native float64
	for i, r := range by {
		if row.execs && r.name == "qemu-user" {
			fmt.Printf(" %10s", "-")
			continue
		}
		values, err := runMicro(ctx, r, row.args)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		b.add(sample{"syscall", row.name, r.name, "ns", values})
		least := slices.Min(values)
		if i == 0 {
			native = least
			fmt.Printf("%-24s %9.2f %s", row.name, least/row.unit, unitNames[row.unit])
		} else {
			fmt.Printf(" %9.2f×", least/native)
		}
	}
	fmt.Println()
	return nil
}

// runMicro returns the numbers that a command writes.
func runMicro(ctx context.Context, r system, args []string) (values []float64, err error) {
	out, _, err := runProgram(ctx, r, args)
	if err != nil {
		return nil, err
	}
	return numbers(string(out))
}

// numbers reads what micro writes.
func numbers(text string) (values []float64, err error) {
	for field := range strings.FieldsSeq(text) {
		v, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	if len(values) == 0 {
		return nil, errors.New("nothing was measured")
	}
	return values, nil
}

// kernelsToCompare are the machine's kernel, without and with runc, and those
// that stand in for it. Each keeps files in memory: the first with a tmpfs.
func (b *bench) kernelsToCompare(ctx context.Context) ([]system, error) {
	t, err := b.toolbox(ctx)
	if err != nil {
		return nil, err
	}
	bundle, err := newBundle(ctx, filepath.Join(b.work, "bundle"), t.debian.Rootfs,
		bundleMount{"/tmp", "tmpfs", "tmpfs", nil}, bundleMount{share, "bind", t.files, []string{"rbind", "ro"}})
	if err != nil {
		return nil, err
	}
	by := []system{{"native", t.native}, {"megabin", b.lifted}, {"runc", bundle.runner("runc")}, {"qemu-user", t.emulated}}
	runsc := filepath.Join(b.tools, "runsc")
	state := filepath.Join(b.work, "runsc")
	gvisor := system{"gVisor", bundle.runner(runsc, "--root", state, "--platform=systrap", "--network=none", "--ignore-cgroups")}
	if err := tryRunsc(ctx, runsc, gvisor); err != nil {
		fmt.Printf("no column for gVisor: %v\n", err)
		return by, nil
	}
	return append(by, gvisor), nil
}

// tryRunsc tells why gVisor can't be measured here.
func tryRunsc(ctx context.Context, path string, r system) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	out, _, err := runProgram(ctx, r, []string{"/bin/echo", "hi"})
	if err == nil && !bytes.Equal(out, []byte("hi\n")) {
		err = fmt.Errorf("%s echo hi: it wrote %q", path, out)
	}
	return err
}

// runner runs commands of the bundle by an OCI runtime.
func (b *bundle) runner(runtime string, flags ...string) func(context.Context, []string) (*exec.Cmd, error) {
	return func(ctx context.Context, args []string) (*exec.Cmd, error) {
		if err := b.set(args); err != nil {
			return nil, err
		}
		return exec.CommandContext(ctx, runtime, append(slices.Clone(flags), "run", "--bundle", b.dir, containerID())...), nil
	}
}
