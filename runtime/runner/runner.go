// Package runner runs one container: it wires an image's tree, its recompiled
// units, the machine and the kernel together and gives the exit status that a
// container engine would. It knows nothing of flags, references or registries.
package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/socket/inet"
	"github.com/megabin/megabin/runtime/vkernel/syscalls"
	"github.com/megabin/megabin/runtime/vkernel/tty"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Exit codes besides the guest's own, those of docker run.
const (
	ExitFailure  = 125 // the runner's own error
	ExitRefused  = 126 // the program may not or cannot be executed
	ExitNotFound = 127 // the program does not exist
)

// Mount is a file system mounted in the container.
type Mount struct {
	FS       vfs.FileSystem
	Target   string // absolute path; made if it does not exist
	Source   string // for /proc/mounts
	ReadOnly bool
}

// Spec is what to run.
type Spec struct {
	// Root is the image's tree. It is not changed: what the guest writes is kept in memory.
	Root   vfs.FileSystem
	Units  kernel.Units
	Mounts []Mount

	Argv     []string // the program, searched in PATH, and its arguments
	Env      []string // K=V; PATH, HOME, HOSTNAME, TERM get defaults
	Dir      string   // working directory, "/" if empty; made if it does not exist
	User     string   // name|uid[:group|gid], root if empty
	Hostname string   // "megabin" if empty
	ReadOnly bool     // the root is mounted read-only
	SetID    bool     // execve heeds files' set-id bits and capabilities
	Bounds   Bounds

	// Stdin, Stdout and Stderr are the guest's; nil Stdin is /dev/null. They are
	// not closed.
	Stdin, Stdout, Stderr *os.File
	// TTY says that they are the container's terminal.
	TTY bool

	// Net is NetNone (also if empty) or NetHost.
	Net     string
	Publish []Port // with NetNone only

	// CacheDir keeps compiled code between runs; empty for none.
	CacheDir string
	// Restless: see machine.Options.
	Restless bool
	// Recompile, if set, makes code on demand of what was missed in listed files.
	Recompile Recompile
	// Policy is what may be executed.
	Policy kernel.Policy
	// Audit, if set, gets a line for each decision on what may be executed: see
	// docs/security.md. Each is one Write.
	Audit io.Writer
	// Messages gets lines for the person: refusals, missing calls. nil: os.Stderr.
	Messages io.Writer
	// Strace, if set, gets each system call.
	Strace io.Writer
	// Faults says that each fault of guest code is reported to Messages.
	Faults bool
}

// Result is what became of the container.
type Result struct {
	Code  int // exit status
	Stats machine.Stats
}

// container is one run.
type container struct {
	spec   Spec
	engine *machine.Engine
	kernel *kernel.Kernel
	sys    *vfs.System

	ptys      *tty.Table
	terminals map[uint64]*tty.Control // of the standard streams, by device number
	console   *tty.Control            // the first of them, nil if there is none

	net       *socket.Network
	stack     *inet.Stack // nil with NetHost
	listeners []io.Closer // of published ports

	audit *auditLog // nil: there is none
}

// Run runs the container to its end. An error is the runner's own; the
// result's Code is then ExitFailure. A program that cannot be started is no
// error: its reason is in Messages.
func Run(ctx context.Context, s Spec) (Result, error) {
	if s.Messages == nil {
		s.Messages = os.Stderr
	}
	if len(s.Argv) == 0 {
		return Result{Code: ExitFailure}, errors.New("no program to run")
	}
	if s.Hostname == "" {
		s.Hostname = "megabin"
	}
	c := &container{spec: s}
	if s.Audit != nil {
		c.audit = &auditLog{w: s.Audit, failed: func(err error) { c.say("writing the audit log: %v", err) }}
	}
	code, err := c.run(ctx)
	r := Result{Code: code}
	if c.engine != nil {
		r.Stats = c.engine.Stats()
		c.engine.Close()
	}
	return r, err
}

// say writes a line for the person.
func (c *container) say(format string, args ...any) {
	fmt.Fprintf(c.spec.Messages, "megabin: "+format+"\n", args...)
}

func (c *container) run(ctx context.Context) (int, error) {
	options := machine.Options{CacheDir: c.spec.CacheDir, Restless: c.spec.Restless, FindUnit: c.findUnit}
	if c.spec.Recompile != nil {
		d := &onDemand{ctx: ctx, units: c.spec.Units, recompile: c.spec.Recompile, say: c.say, allowed: c.madeLate, done: map[place]machine.Unit{}}
		options.OnDemand = d.find
	}
	engine, err := machine.NewEngine(ctx, options)
	if err != nil {
		return ExitFailure, err
	}
	c.engine = engine
	if err := c.buildNetwork(); err != nil {
		return ExitFailure, err
	}
	defer c.closeNetwork()
	task, env, err := c.prepare(ctx)
	if err != nil {
		return ExitFailure, err
	}
	if err := c.start(task, env); err != nil {
		return c.notStarted(err), nil
	}
	if c.spec.TTY && c.console != nil {
		if err := task.AcquireTerminal(c.console); err != nil {
			return ExitFailure, fmt.Errorf("controlling terminal: %w", err)
		}
	}
	stop := c.forward(task.Group)
	defer stop()
	defer c.watchMemory()()
	return c.kernel.Run(task).Code(), ctx.Err()
}

// findUnit is machine.Options.FindUnit.
func (c *container) findUnit(id [32]byte) (machine.Unit, bool) {
	u, _, ok := c.spec.Units.Lookup(id)
	return u, ok
}

// prepare builds everything but the program.
func (c *container) prepare(ctx context.Context) (*kernel.Task, []string, error) {
	if err := c.buildTree(); err != nil {
		return nil, nil, err
	}
	user, err := c.lookupUser(c.spec.User)
	if err != nil {
		return nil, nil, err
	}
	fds, err := c.openStdio()
	if err != nil {
		return nil, nil, err
	}
	fs := vfs.NewFSContext(c.kernel.NS.Root())
	limits := kernel.DefaultLimits()
	if c.spec.Dir != "" {
		if err := c.enter(fs, c.spec.Dir); err != nil {
			return nil, nil, fmt.Errorf("working directory %s: %w", c.spec.Dir, err)
		}
	}
	creds := kernel.NewCreds(user.uid, user.gid, user.groups)
	task, err := c.kernel.NewInit(ctx, kernel.Init{FDs: fds(limits.Files), FS: fs, Creds: creds, Limits: limits})
	return task, environment(c.spec, user), err
}

func (c *container) newKernel(ns *vfs.Namespace, memory vfs.TmpMaker) *kernel.Kernel {
	calls := syscalls.New(syscalls.Options{Strace: c.spec.Strace})
	k := kernel.Config{
		Engine: c.engine, Units: c.spec.Units, NS: ns, Memory: memory, Hostname: c.spec.Hostname, Net: c.net, Calls: calls,
		Policy: c.spec.Policy, Decided: c.decided, SetID: c.spec.SetID,
		Problem: func(text string) { c.say("%s", text) },
	}
	if c.spec.Faults {
		k.Faulted = func(t *kernel.Task, f *machine.Fault) { c.say("%s: %v; functions %#x", t.Comm(), f, f.Trace) }
	}
	c.spec.Bounds.bound(&k)
	return kernel.New(k)
}

// start gives the task its program: the first of the PATH that can be executed.
func (c *container) start(t *kernel.Task, env []string) error {
	var first error
	for _, name := range candidates(c.spec.Argv[0], env) {
		err := t.Exec(kernel.Program{Path: name, Argv: c.spec.Argv, Envp: env})
		if err == nil {
			return nil
		}
		if first == nil || isMissing(first) {
			first = err
		}
	}
	return first
}

func isMissing(err error) bool { return err == unix.ENOENT || err == unix.ENOTDIR }

// notStarted reports why the program did not start, and is the exit status.
func (c *container) notStarted(err error) int {
	c.say("%s: %v", c.spec.Argv[0], linux.Errno(err))
	if isMissing(err) {
		return ExitNotFound
	}
	return ExitRefused
}

// forwarded are the signals that the runner passes on to the first process.
var forwarded = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH}

// fromTerminal are those that come from a terminal's keys and window: they are
// the foreground process group's.
var fromTerminal = map[os.Signal]bool{unix.SIGINT: true, unix.SIGQUIT: true, unix.SIGTSTP: true, unix.SIGWINCH: true}

// forward passes signals on until stop is called. The guest's shell does job
// control on the host's terminal: the runner itself is never stopped by it.
func (c *container) forward(init *kernel.ThreadGroup) (stop func()) {
	ch := make(chan os.Signal, 16)
	signals := forwarded
	if c.spec.TTY && c.console != nil {
		signals = append(signals, unix.SIGTSTP)
	}
	signal.Notify(ch, signals...)
	go func() {
		for s := range ch {
			if sig := s.(unix.Signal); c.spec.TTY && c.console != nil && fromTerminal[s] {
				c.console.Signal(sig)
			} else {
				init.Send(kernel.SigInfo{Signo: sig, Code: kernel.SiUser})
			}
		}
	}()
	return func() {
		signal.Stop(ch)
		close(ch)
	}
}
