// Package syscalls is the Linux x86-64 system call interface: one table with
// a row for each number, and functions that decode arguments, call one method
// of the kernel's parts, and encode the answer. strace output and
// docs/vkernel.md come out of the same table. What the calls do is elsewhere:
// kernel, mm, vfs, futex, epoll.
package syscalls

import (
	"fmt"
	"io"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/strace"
)

// Func does one system call.
type Func func(t *kernel.Task, a Args) (uint64, error)

// Support says how much of a system call there is.
type Support uint8

// Kinds of Support.
const (
	None    Support = iota // ENOSYS
	Partial                // see the row's note
	Full
)

// String is the word used in docs/vkernel.md.
func (s Support) String() string { return [...]string{"none", "partial", "full"}[s] }

// Row is one system call. A row without Fn gives ENOSYS.
type Row struct {
	Name    string
	Fn      Func
	Args    string // signature, see package strace
	Support Support
	Note    string
}

// Options of a Dispatcher.
type Options struct {
	// Strace, if set, gets each call in strace(1)'s format.
	Strace io.Writer
	// Missing, if set, is told once of each call that is not there.
	Missing func(name string)
}

// Dispatcher makes the calls of all tasks of a kernel.
type Dispatcher struct {
	opts    Options
	formats []strace.Format

	mu     sync.Mutex // guards what follows and orders output
	missed map[uint64]bool
	first  int // the only task's id so far; -1: there were more
}

// New makes a Dispatcher.
func New(o Options) *Dispatcher {
	d := &Dispatcher{opts: o, missed: map[uint64]bool{}}
	if o.Strace != nil {
		for _, row := range Table {
			d.formats = append(d.formats, strace.Parse(row.Args))
		}
	}
	return d
}

// Call implements kernel.Dispatcher.
func (d *Dispatcher) Call(t *kernel.Task, nr uint64, args [6]uint64) (uint64, error) {
	if s := t.Seccomp(); s != nil {
		if ret, stopped, err := restricted(t, s, &nr, &args); stopped {
			return d.refused(t, nr, args, ret, err)
		}
	}
	if nr >= uint64(len(Table)) || Table[nr].Name == "" {
		return d.absent(t, nr, fmt.Sprintf("syscall_%#x", nr), args)
	}
	row := &Table[nr]
	if row.Fn == nil {
		return d.absent(t, nr, row.Name, args)
	}
	if d.opts.Strace == nil {
		return row.Fn(t, args)
	}
	return d.traced(t, row, d.formats[nr], args)
}

// absent is a call that is not there: ENOSYS, and once a word to the person.
func (d *Dispatcher) absent(t *kernel.Task, nr uint64, name string, args [6]uint64) (uint64, error) {
	d.mu.Lock()
	first := !d.missed[nr]
	d.missed[nr] = true
	d.mu.Unlock()
	if first && d.opts.Missing != nil {
		d.opts.Missing(name)
	}
	if d.opts.Strace != nil {
		d.print(t, "%s(%#x, %#x, %#x) = -1 ENOSYS (Function not implemented)", name, args[0], args[1], args[2])
	}
	return 0, unix.ENOSYS
}

// refused is a call that seccomp did not let through.
func (d *Dispatcher) refused(t *kernel.Task, nr uint64, args Args, ret uint64, err error) (uint64, error) {
	if d.opts.Strace == nil || nr >= uint64(len(Table)) {
		return ret, err
	}
	return d.traced(t, &Row{Name: Table[nr].Name, Fn: func(*kernel.Task, Args) (uint64, error) { return ret, err }}, d.formats[nr], args)
}

// traced makes a call and prints it. What goes away with the call (the
// arguments of execve, everything at exit) is printed as it was before.
func (d *Dispatcher) traced(t *kernel.Task, row *Row, format strace.Format, args [6]uint64) (uint64, error) {
	c := strace.Call{Name: row.Name, Format: format, Args: args, Mem: mem(t)}
	before := c.Entry()
	ret, err := row.Fn(t, args)
	if t.Leaving() {
		d.print(t, "%-39s = ?", before)
		return ret, err
	}
	c.Ret, c.Err, c.Done = ret, linux.Errno(err), true
	d.print(t, "%s", c.Line())
	return ret, err
}

// print writes a line, which says of which task it is when there are several.
func (d *Dispatcher) print(t *kernel.Task, format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.first == 0 {
		d.first = t.TID
	} else if d.first != t.TID {
		d.first = -1
	}
	if d.first < 0 {
		fmt.Fprintf(d.opts.Strace, "[pid %5d] ", t.TID)
	}
	fmt.Fprintf(d.opts.Strace, format+"\n", args...)
}

// Signal implements kernel.Dispatcher.
func (d *Dispatcher) Signal(t *kernel.Task, info kernel.SigInfo) {
	if d.opts.Strace != nil {
		text := fmt.Sprintf("si_signo=%s, si_code=%d, si_addr=%#x, si_pid=%d, si_uid=%d", strace.SignalName(int(info.Signo)), info.Code, info.Addr, info.PID, info.UID)
		d.print(t, "%s", strace.Signal(int(info.Signo), text))
	}
}

// Exit implements kernel.Dispatcher.
func (d *Dispatcher) Exit(t *kernel.Task, status kernel.WaitStatus) {
	switch sig := int(status & 0x7f); {
	case d.opts.Strace == nil:
	case sig != 0:
		d.print(t, "+++ killed by %s +++", strace.SignalName(sig))
	default:
		d.print(t, "+++ exited with %d +++", status.Code())
	}
}
