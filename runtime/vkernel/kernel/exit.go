package kernel

import (
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ExitThread is exit(2): the task ends; the last one ends the process, with
// the status that its leader gave.
func (t *Task) ExitThread(code int) {
	g := t.Group
	g.mu.Lock()
	defer g.mu.Unlock()
	t.flow = flowExit
	t.leaving, t.status = true, ExitStatus(code)
	if t.TID == g.ID && !g.exiting {
		g.status = t.status
	}
}

// ExitGroup is exit_group(2).
func (t *Task) ExitGroup(status WaitStatus) {
	g := t.Group
	g.mu.Lock()
	defer g.mu.Unlock()
	t.flow = flowExit
	t.leaving, t.status = !g.exiting, status
	g.exit(status)
}

// leave tells with which status the task ends: its own, or its process's.
func (t *Task) leave() WaitStatus {
	g := t.Group
	g.mu.Lock()
	defer g.mu.Unlock()
	if !t.leaving {
		t.leaving, t.status = true, g.status
	}
	return t.status
}

// exit frees what the task holds, on its own goroutine and last.
func (t *Task) exit() {
	if t.traced() {
		t.traceEvent(eventExit, uint64(t.leave()))
	}
	if t.K.Throttle != nil {
		t.charge()
	}
	t.leaveMemory()
	t.ReleaseUndo()
	fds := t.FDs
	t.setFDs(nil)
	fds.Release()
	t.setFS(nil)
	k, g := t.K, t.Group
	k.mu.Lock()
	last, status := g.remove(t)
	t.leaveChildren()
	t.leaveTracees()
	if t.TID != g.ID && !t.staysForTracer() {
		delete(k.tasks, t.TID)
	}
	k.mu.Unlock()
	k.Keys.Release(t.rings) // which no child can add to any more
	if last {
		k.Calls.Exit(t, status)
		k.mu.Lock()
		defer k.mu.Unlock()
		g.end(status)
	}
}

// staysForTracer tells whether a thread that has ended is known until its tracer has
// waited for it.
// Preconditions: Kernel.mu is held.
func (t *Task) staysForTracer() bool {
	tr := t.tracing.Load()
	if tr == nil {
		return false
	}
	tr.ended, tr.status = true, t.leave()
	t.tellTracerOfEnd(tr, tr.status)
	return true
}

// remove takes t out of its process, which is to end if it was the last.
// Preconditions: Kernel.mu is held.
func (g *ThreadGroup) remove(t *Task) (last bool, status WaitStatus) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.pause()
	g.usage.add(t.meter.usage())
	delete(g.tasks, t)
	t.Seccomp().Release()
	if g.execer != nil {
		g.execer.notify()
	}
	if g.stopSig != 0 && !g.stopped && g.parked == len(g.tasks) && g.parked > 0 {
		go g.reportStop() // it needs the locks
	}
	return len(g.tasks) == 0, g.status
}

// leaveMemory frees the task's processor and memory, and tells who waits for
// that: joining threads, owners of robust mutexes, vfork.
func (t *Task) leaveMemory() {
	if t.MM != nil {
		t.abandonFutexes()
		if t.ClearTID != 0 && t.MM.Shared() {
			t.MM.AS.Store32(t.ClearTID, 0)
			t.K.Futexes.Wake(t.FutexKey(t.ClearTID, false), 1, allBits)
		}
		t.ClearTID = 0
	}
	if t.CPU != nil {
		t.CPU.Close()
		t.CPU = nil
	}
	if m := t.MM; m != nil {
		t.setMM(nil)
		t.Group.notePeak(m.Mapped())
		m.Release()
	}
	t.endVfork()
}

// endVfork lets the maker of a child that had its memory go on.
func (t *Task) endVfork() {
	if t.vfork != nil {
		close(t.vfork)
		t.vfork = nil
	}
}

// Bits of a robust futex's word, and how long a list may be; uapi/linux/futex.h.
const (
	futexOwnerDied  = 0x40000000
	futexWaiters    = 0x80000000
	futexTIDMask    = 0x3fffffff
	robustListLimit = 2048
)

// abandonFutexes marks the robust mutexes that the task holds as those of a
// dead owner and wakes one waiter each: exit_robust_list.
func (t *Task) abandonFutexes() {
	head := t.RobustList
	if head == 0 {
		return
	}
	t.RobustList = 0
	load := func(addr uint64) uint64 {
		v, err := t.MM.AS.Load64(addr)
		if err != nil {
			return head // which ends the walk
		}
		return v
	}
	offset, pending := load(head+8), load(head+16)
	entry := load(head)
	for range robustListLimit {
		if entry&^1 == head || entry == 0 {
			break
		}
		next := load(entry &^ 1)
		if entry != pending {
			t.abandonFutex(entry&^1+offset, entry&1 != 0, false)
		}
		entry = next
	}
	if pending != 0 && pending&^1 != head {
		t.abandonFutex(pending&^1+offset, pending&1 != 0, true)
	}
}

// abandonFutex is handle_futex_death for one word. pending says that the task
// was about to lock or unlock it.
func (t *Task) abandonFutex(addr uint64, pi, pending bool) {
	word, err := t.MM.AS.Atomic32(addr)
	if err != nil {
		return
	}
	for {
		v := atomic.LoadUint32(word)
		if pending && !pi && v&futexTIDMask == 0 {
			t.K.Futexes.Wake(t.FutexKey(addr, false), 1, allBits)
			return
		}
		if v&futexTIDMask != uint32(t.TID) {
			return
		}
		if pi {
			t.handOver(word, t.FutexKey(addr, false), futexOwnerDied)
			return
		}
		if !atomic.CompareAndSwapUint32(word, v, v&futexWaiters|futexOwnerDied) {
			continue
		}
		if v&futexWaiters != 0 {
			t.K.Futexes.Wake(t.FutexKey(addr, false), 1, allBits)
		}
		return
	}
}

// leaveChildren gives the processes that t made to another thread, and sends
// them the signal that they asked for.
// Preconditions: Kernel.mu is held.
func (t *Task) leaveChildren() {
	for _, child := range t.Group.children {
		if child.creator != t {
			continue
		}
		child.creator = nil
		if child.pdeath != 0 {
			child.send(SigInfo{Signo: child.pdeath, Code: SiUser, PID: int32(t.Group.ID)}, nil)
		}
	}
}

// end makes a zombie of a process without threads, or nothing if nobody wants
// to know of its end.
// Preconditions: Kernel.mu is held.
func (g *ThreadGroup) end(status WaitStatus) {
	k := g.k
	g.Timers.Stop()
	g.PosixTimers.DeleteAll()
	g.mu.Lock()
	g.exiting = true
	g.pending = sigQueue{}
	g.mu.Unlock()
	g.zombie = true
	if s := g.pgrp.session; s.ID == g.ID && s.tty != nil {
		k.hangup(s, SigInfo{Code: SiKernel})
	}
	if g == k.init {
		k.killAll()
	}
	g.disown()
	g.pgrp.hangupIfOrphaned(g, g.parent)
	close(g.done)
	g.ended.Notify(pidfdEvents)
	if g.parent == nil || g.reportEnd(status) {
		g.release()
	}
}

// disown gives the children of g to the next reaper.
// Preconditions: Kernel.mu is held.
func (g *ThreadGroup) disown() {
	heir := g.reaper()
	for _, child := range g.children {
		child.parent, child.exitSignal = heir, unix.SIGCHLD
		if heir == nil {
			if child.zombie {
				child.release()
			}
			continue
		}
		heir.children = append(heir.children, child)
		if child.zombie && child.reportEnd(child.status) {
			child.release()
		}
		if !child.zombie {
			child.pgrp.hangupIfOrphaned(nil, g)
		}
	}
	g.children = nil
}

// reaper is the nearest ancestor that takes orphans, nil if g is the last.
func (g *ThreadGroup) reaper() *ThreadGroup {
	for p := g.parent; p != nil; p = p.parent {
		if p.subreaper && !p.zombie {
			return p
		}
	}
	if g == g.k.init || g.k.init.zombie {
		return nil
	}
	return g.k.init
}

// reportEnd tells the parent that g has ended, and tells whether the parent
// does not care, so that it need not be waited for.
// Preconditions: Kernel.mu is held.
func (g *ThreadGroup) reportEnd(status WaitStatus) (ignored bool) {
	p := g.parent
	if tr := g.tracing(); tr != nil && tr.tracer.Group != p {
		g.leader().tellTracerOfEnd(tr, status)
		return false
	}
	sig := g.exitSignal
	a, ok := p.action(sig)
	if sig == unix.SIGCHLD && ok && g.tracing() == nil {
		ignored = a.Handler == SigIgn || a.Flags&SaNoCldWait != 0
	}
	if sig != 0 && !(sig == unix.SIGCHLD && a.Handler == SigIgn) {
		code, value := status.childCode()
		info := g.childInfo(code, value)
		info.Signo = sig
		p.send(info, nil)
	}
	p.childChanged()
	return ignored
}

// childCode is the si_code and si_status of a SIGCHLD about an end.
func (s WaitStatus) childCode() (code, status int32) {
	if sig := s & 0x7f; sig != 0 {
		return CldKilled, int32(sig)
	}
	return CldExited, int32(s.Code())
}

// release forgets a process that has ended.
// Preconditions: Kernel.mu is held.
func (g *ThreadGroup) release() {
	k := g.k
	if g.tracing() != nil {
		g.leader().detach()
	}
	delete(k.groups, g.ID)
	delete(k.tasks, g.ID)
	g.join(nil)
	if p := g.parent; p != nil {
		if i := slices.Index(p.children, g); i >= 0 {
			p.children = slices.Delete(p.children, i, i+1)
		}
	}
}
