package kernel

import (
	"bytes"
	"cmp"
	"runtime"
	"slices"

	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/fs/proc"
	"github.com/megabin/megabin/runtime/vkernel/fs/sys"
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
		Net: k.netFiles(), NetSys: k.netSysctls(), IPC: k.ipcFiles(),
		Keys: k.keysOf, KeyUsers: k.Keys.ProcUsers,
	})
}

// Sys is a sys file system of the machine that guests are told of.
func (k *Kernel) Sys() vfs.FileSystem {
	o := sys.Options{CPUs: runtime.NumCPU()}
	for _, c := range machine.Caches() {
		o.Caches = append(o.Caches, sys.Cache{Type: c.Type, Level: c.Level, Ways: c.Ways, Sets: c.Sets, Line: c.Line})
	}
	return sys.New(o)
}

// netFiles are the files of /proc/net.
func (k *Kernel) netFiles() (list []proc.File) {
	if k.Net == nil {
		return nil
	}
	for _, f := range k.Net.ProcFiles() {
		list = append(list, proc.File{Name: f.Name, Read: f.Read})
	}
	return list
}

// netSysctls are the files of /proc/sys/net.
func (k *Kernel) netSysctls() (list []proc.File) {
	if k.Net == nil {
		return nil
	}
	for _, f := range k.Net.Settings {
		list = append(list, proc.File{Name: f.Name, Read: f.Read})
	}
	return list
}

// procTasks implements proc.Tasks.
type procTasks struct {
	k *Kernel
}

func (p procTasks) PIDs() []int {
	var pids []int
	for _, g := range p.k.Processes() {
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
	g := p.Group
	g.mu.Lock()
	for t := range g.tasks {
		ids = append(ids, t.TID)
	}
	g.mu.Unlock()
	if !slices.Contains(ids, g.ID) {
		ids = append(ids, g.ID) // a leader that has ended
	}
	slices.Sort(ids)
	return ids
}

func (p procTask) FSContext() *vfs.FSContext {
	_, fs := p.parts()
	return fs
}

func (p procTask) FDTable() *vfs.FDTable {
	fds, _ := p.parts()
	return fds
}

// with calls f with the task's memory, if it still has any.
func (p procTask) with(f func(*mm.MM)) {
	if m := p.memoryMap(); m != nil {
		f(m)
		if !m.ReleaseShared() {
			go m.Release() // the last reference calls the vfs
		}
	}
}

// memory reads the guest's memory from start to end, nil if it is gone.
func (p procTask) memory(bounds func(mm.Layout) (start, end uint64)) (b []byte) {
	p.with(func(m *mm.MM) {
		start, end := bounds(m.Layout())
		b = make([]byte, end-start)
		if m.AS.CopyIn(start, b) != nil {
			b = nil
		}
	})
	return b
}

// Cmdline is the arguments. A program that has written over the last one's end
// shows a title instead: what is there up to a NUL, into the environment.
func (p procTask) Cmdline() []byte {
	args := p.memory(func(l mm.Layout) (uint64, uint64) { return l.ArgStart, l.ArgEnd })
	if len(args) == 0 || args[len(args)-1] == 0 {
		return args
	}
	all := p.memory(func(l mm.Layout) (uint64, uint64) { return l.ArgStart, max(l.ArgEnd, l.EnvEnd) })
	if end := bytes.IndexByte(all, 0); end >= 0 {
		return all[:end+1]
	}
	return all
}

func (p procTask) Environ() []byte {
	return p.memory(func(l mm.Layout) (uint64, uint64) { return l.EnvStart, l.EnvEnd })
}

func (p procTask) Maps() (list []proc.Mapping) {
	p.with(func(space *mm.MM) {
		for _, a := range space.Areas() {
			m := proc.Mapping{Start: a.Start + a.Upper, End: a.End + a.Upper, Prot: a.Prot, Shared: a.Shared, Name: a.Label}
			if a.File != nil {
				m.Offset, m.Name = a.Offset, a.File.Name()
				m.Dev, m.Ino = a.File.ID()
			}
			list = append(list, m)
		}
	})
	slices.SortFunc(list, func(a, b proc.Mapping) int { return cmp.Compare(a.Start, b.Start) })
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

func (p procTask) Owner() (uid, gid uint32, dumpable bool) {
	c := p.Creds()
	return c.EUID, c.EGID, p.Attributes().Dumpable && p.FSContext() != nil // it goes with the memory
}

func (p procTask) Status() proc.Status {
	t, g, c := p.Task, p.Group, p.Creds()
	s := proc.Status{
		PID: g.ID, State: p.state(), TPGID: -1,
		UID: [4]uint32{c.UID, c.EUID, c.SUID, c.FSUID}, GID: [4]uint32{c.GID, c.EGID, c.SGID, c.FSGID}, Groups: c.Groups,
		Caps:       [5]uint64{c.Inheritable, c.Permitted, c.Effective, c.Bounding, c.Ambient},
		NoNewPrivs: c.NoNewPrivs, Seccomp: t.Seccomp().Counts(), CPUs: t.Attributes().CPUs, FDSize: 64, User: g.Usage().Time, Start: g.started.Sub(t.K.Boot),
	}
	if fs := p.FSContext(); fs != nil {
		s.Umask = fs.Umask()
	}
	p.family(&s)
	p.signals(&s)
	p.with(func(m *mm.MM) {
		start, end := m.BrkRange()
		l := m.Layout()
		s.Code, s.Args, s.Env = [2]uint64{l.StartCode, l.EndCode}, [2]uint64{l.ArgStart, l.ArgEnd}, [2]uint64{l.EnvStart, l.EnvEnd}
		s.StackStart, s.BrkStart = l.StartStack, start
		s.VM, s.RSS, s.Data, s.Text, s.Stack = m.Mapped(), m.Mapped(), end-start, l.EndCode-l.StartCode, mm.StackTop-l.StartStack
	})
	return s
}

// family fills in what Kernel.mu guards.
func (p procTask) family(s *proc.Status) {
	g := p.Group
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	s.ExitSignal, s.Nice = int(g.exitSignal), g.nice
	if g.parent != nil {
		s.PPID = g.parent.ID
	}
	if tr := p.tracing.Load(); tr != nil {
		s.Tracer = tr.tracer.TID
	}
	if g.pgrp == nil {
		return
	}
	s.PGID, s.SID = g.pgrp.ID, g.pgrp.session.ID
	if c := g.pgrp.session.tty; c != nil {
		s.TTY, s.TPGID = int(c.Device), c.Foreground()
	}
}

// signals fills in what the group's lock guards.
func (p procTask) signals(s *proc.Status) {
	g := p.Group
	g.mu.Lock()
	defer g.mu.Unlock()
	s.TID, s.Threads = p.TID, len(g.tasks)
	s.Pending, s.SharedPending, s.Blocked = uint64(p.pending.set), uint64(g.pending.set), uint64(p.mask)
	s.Ignored, s.Caught = p.Handlers.sets()
}

// state is the letter for what the task does.
func (p procTask) state() byte {
	g := p.Group
	g.k.mu.Lock()
	zombie := g.zombie
	tr := p.tracing.Load()
	trapped := tr != nil && tr.stop != nil
	g.k.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	_, alive := g.tasks[p.Task]
	switch {
	case zombie || !alive:
		return 'Z'
	case trapped:
		return 't'
	case g.stopSig != 0 && g.parked > 0:
		return 'T'
	case p.meter.asleep():
		return 'S'
	}
	return 'R'
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
