package kernel

import (
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/fs/proc"
	"github.com/megabin/megabin/runtime/vkernel/mm"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// What guests are told the kernel is.
const (
	Release = "6.1.0-megabin"
	Version = "#1 SMP PREEMPT_DYNAMIC megabin"
)

// Proc is a proc file system of k's tasks.
func (k *Kernel) Proc() vfs.FileSystem {
	return proc.New(proc.Options{
		Tasks: procTasks{k}, NS: k.NS, Hostname: func() string { return k.Hostname },
		Release: Release, Version: Version, Boot: k.Boot, CPUs: runtime.NumCPU(), CPUFlags: machine.CPUFlags(),
	})
}

// procTasks implements proc.Tasks.
type procTasks struct {
	k *Kernel
}

func (p procTasks) PIDs() []int {
	var pids []int
	for _, g := range p.k.groups() {
		pids = append(pids, g.ID)
	}
	slices.Sort(pids)
	return pids
}

func (p procTasks) Task(tid int) proc.Task {
	if t := p.k.Task(tid); t != nil {
		return procTask{t}
	}
	return nil
}

func (p procTasks) Self(task any) (pid, tid int) {
	if t, ok := task.(*Task); ok {
		return t.PID(), t.TID
	}
	return 0, 0
}

// procTask implements proc.Task.
type procTask struct {
	*Task
}

func (p procTask) Threads() []int {
	var ids []int
	for _, t := range p.Group.Tasks() {
		ids = append(ids, t.TID)
	}
	slices.Sort(ids)
	return ids
}

func (p procTask) FSContext() *vfs.FSContext { return p.FS }
func (p procTask) FDTable() *vfs.FDTable     { return p.FDs }

// memory reads the guest's memory from start to end, nil if it is gone.
func (p procTask) memory(bounds func(mm.Layout) (start, end uint64)) []byte {
	if p.MM == nil {
		return nil
	}
	start, end := bounds(p.MM.Layout())
	b := make([]byte, end-start)
	if p.MM.AS.CopyIn(start, b) != nil {
		return nil
	}
	return b
}

func (p procTask) Cmdline() []byte {
	return p.memory(func(l mm.Layout) (uint64, uint64) { return l.ArgStart, l.ArgEnd })
}

func (p procTask) Environ() []byte {
	return p.memory(func(l mm.Layout) (uint64, uint64) { return l.EnvStart, l.EnvEnd })
}

func (p procTask) Maps() []proc.Mapping {
	if p.MM == nil {
		return nil
	}
	var list []proc.Mapping
	for _, a := range p.MM.Areas() {
		m := proc.Mapping{Start: a.Start, End: a.End, Prot: a.Prot, Shared: a.Shared, Name: a.Label}
		if a.File != nil {
			m.Offset, m.Name = a.Offset, a.File.Name()
			m.Dev, m.Ino = a.File.ID()
		}
		list = append(list, m)
	}
	return list
}

func (p procTask) Limits() []proc.Limit {
	var list []proc.Limit
	for i := range numLimits {
		l, _ := p.Group.Limits.Get(i)
		list = append(list, proc.Limit{Cur: l.Cur, Max: l.Max})
	}
	return list
}

func (p procTask) Status() proc.Status {
	t, g, c := p.Task, p.Group, p.Creds()
	var usage unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &usage)
	s := proc.Status{
		PID: g.ID, TID: t.TID, PPID: g.ParentID(), PGID: g.ProcessGroup(), SID: g.SessionID(), State: 'R', TPGID: -1,
		UID: [4]uint32{c.UID, c.EUID, c.SUID, c.FSUID}, GID: [4]uint32{c.GID, c.EGID, c.SGID, c.FSGID}, Groups: c.Groups,
		Caps:       [5]uint64{c.Inheritable, c.Permitted, c.Effective, c.Bounding, 0},
		NoNewPrivs: c.NoNewPrivs, Threads: len(g.Tasks()), Umask: t.FS.Umask(), FDSize: 64, ExitSignal: int(unix.SIGCHLD),
		User: time.Duration(usage.Utime.Nano()), System: time.Duration(usage.Stime.Nano()), Start: g.started.Sub(t.K.Boot),
		Blocked: uint64(t.Mask()), SharedPending: g.pendingSet(),
	}
	s.Ignored, s.Caught = t.Handlers.sets()
	if t.MM != nil {
		start, end := t.MM.BrkRange()
		l := t.MM.Layout()
		s.VM, s.RSS, s.Data, s.Text, s.Stack = t.MM.Mapped(), t.MM.Mapped(), end-start, l.EndCode-l.StartCode, mm.StackTop-l.StartStack
	}
	return s
}

// pendingSet is the set of signals pending for the process.
func (g *ThreadGroup) pendingSet() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return uint64(g.pending.set)
}

// sets are the signals that are ignored and those that have a handler.
func (h *SignalHandlers) sets() (ignored, caught uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for sig := 1; sig <= MaxSignal; sig++ {
		switch h.actions[sig].Handler {
		case SigDfl:
		case SigIgn:
			ignored |= 1 << (sig - 1)
		default:
			caught |= 1 << (sig - 1)
		}
	}
	return ignored, caught
}
