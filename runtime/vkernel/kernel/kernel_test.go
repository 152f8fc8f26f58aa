package kernel

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/fs/tmp"
	"github.com/megabin/megabin/runtime/vkernel/mm"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// noCalls is the Dispatcher of tasks whose program is a Go function.
type noCalls struct{}

func (noCalls) Call(*Task, uint64, [6]uint64) (uint64, error) { return 0, unix.ENOSYS }
func (noCalls) Signal(*Task, SigInfo)                         {}
func (noCalls) Exit(*Task, WaitStatus)                        {}

type noCode struct{}

func (noCode) Admit(*mm.Area, []byte, mm.Asker) (mm.Grant, error) { return mm.Grant{}, unix.EACCES }

// guest is a task's program in Go. Its result is the exit code.
type guest func(t *Task) int

// run is a Task's life with a guest in place of a CPU.
func (g guest) run(t *Task) {
	defer t.exit()
	if code := g(t); t.flow != flowExit {
		t.ExitGroup(ExitStatus(code))
	}
}

// call makes a system call of a guest: again when a signal did not end it. It
// tells whether the guest goes on.
func call(t *Task, f func() error) (err error, alive bool) {
	for {
		err := f()
		_, restart, stop := t.deliver(0, err)
		switch {
		case stop:
			return err, false
		case !isRestart(err) || !restart:
			return err, true
		}
	}
}

// fork and thread give 0 if the caller is to end instead.
func fork(t *Task, g guest) int { return clone(t, CloneArgs{ExitSignal: unix.SIGCHLD}, g) }

func thread(t *Task, g guest) int {
	return clone(t, CloneArgs{Flags: unix.CLONE_VM | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_FILES | unix.CLONE_FS}, g)
}

func clone(t *Task, a CloneArgs, g guest) (tid int) {
	err, alive := call(t, func() (err error) {
		tid, err = t.clone(a, g.run)
		return err
	})
	if err != nil && alive {
		panic(err)
	}
	return tid
}

// sleeps is a guest that only signals end.
func sleeps(t *Task) int {
	for {
		if _, alive := call(t, func() error { return t.Sleep(nil, time.Time{}) }); !alive {
			return 0
		}
	}
}

func waitFor(t *Task, pid, options int) (Reaped, error) {
	var r Reaped
	err, _ := call(t, func() (err error) {
		r, err = t.Wait(WaitFor{PID: pid, Options: options | unix.WEXITED})
		return err
	})
	return r, err
}

// boot runs a guest as the first process.
func boot(t *testing.T, c Config, g guest) WaitStatus {
	t.Helper()
	engine, err := machine.NewEngine(context.Background(), machine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	root, err := tmp.New(tmp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sys := &vfs.System{}
	c.Engine, c.Calls, c.NS = engine, noCalls{}, sys.NewNamespace(sys.NewSuper(root), vfs.MountOptions{})
	k := New(c)
	task, err := k.NewInit(t.Context(), Init{FS: vfs.NewFSContext(k.NS.Root()), Creds: NewCreds(0, 0, nil)})
	if err != nil {
		t.Fatal(err)
	}
	if task.MM, err = mm.New(engine, noCode{}, ""); err != nil {
		t.Fatal(err)
	}
	g.run(task)
	status := task.Group.Wait()
	k.running.Wait()
	if len(k.tasks)+len(k.groups)+len(k.pgroups)+len(k.sessions) > 0 {
		t.Errorf("left over: tasks %v, groups %v, process groups %v, sessions %v", k.tasks, k.groups, k.pgroups, k.sessions)
	}
	return status
}

// TestHammerWait lets several processes make children at once, some of which
// leave theirs to the first process, which reaps all others.
func TestHammerWait(t *testing.T) {
	var reaped atomic.Int32
	parent := func(p *Task) int {
		want := map[int]int{}
		for i := range 40 {
			orphans := i % 4
			pid := fork(p, func(c *Task) int {
				for range orphans {
					fork(c, func(*Task) int { return 99 })
				}
				return i
			})
			want[pid] = i
			if rand.IntN(2) == 0 {
				continue
			}
			r, err := waitFor(p, -1, 0)
			if code, known := want[r.PID]; err != nil || !known || r.Status != ExitStatus(code) {
				t.Errorf("reaped %v, %v; want one of %v", r, err, want)
			}
			delete(want, r.PID)
		}
		for pid, code := range want {
			if r, err := waitFor(p, pid, 0); err != nil || r.Status != ExitStatus(code) {
				t.Errorf("reaped %v, %v of %d, want code %d", r, err, pid, code)
			}
		}
		return 0
	}
	boot(t, Config{}, func(init *Task) int {
		for range 8 {
			fork(init, parent)
		}
		for {
			_, err := waitFor(init, -1, 0)
			if err == unix.ECHILD {
				return 0
			}
			reaped.Add(1)
		}
	})
	if want := int32(8 + 8*10*(0+1+2+3)); reaped.Load() != want {
		t.Errorf("the first process reaped %d, want %d", reaped.Load(), want)
	}
}

// TestHammerStop stops and continues processes of several threads.
func TestHammerStop(t *testing.T) {
	boot(t, Config{}, func(init *Task) int {
		pid := fork(init, func(p *Task) int {
			for range 5 {
				thread(p, sleeps)
			}
			return sleeps(p)
		})
		for range 200 {
			init.Kill(pid, SigInfo{Signo: unix.SIGSTOP})
			r, err := waitFor(init, pid, unix.WSTOPPED)
			if err != nil || r.Status != StopStatus(unix.SIGSTOP) {
				t.Fatalf("stopped: %v, %v", r, err)
			}
			init.Kill(pid, SigInfo{Signo: unix.SIGCONT})
			r, err = waitFor(init, pid, unix.WCONTINUED)
			if err != nil || r.Status != ContinuedStatus {
				t.Fatalf("continued: %v, %v", r, err)
			}
		}
		init.Kill(pid, SigInfo{Signo: unix.SIGKILL})
		if r, err := waitFor(init, pid, 0); r.Status != SignalStatus(unix.SIGKILL) {
			t.Errorf("killed: %v, %v", r, err)
		}
		return 0
	})
}

// TestHammerSignals queues real-time signals from several processes to one,
// which takes them all.
func TestHammerSignals(t *testing.T) {
	const senders, each = 6, 300
	sig := unix.Signal(40)
	boot(t, Config{}, func(init *Task) int {
		init.SetMask(Of(sig) | Of(unix.SIGCHLD))
		me := init.PID()
		for n := range senders {
			fork(init, func(p *Task) int {
				for i := range each {
					p.Kill(me, SigInfo{Signo: sig, Code: SiQueue, PID: int32(n), Value: uint64(i)})
				}
				return 0
			})
		}
		var next [senders]uint64
		for range senders * each {
			for {
				info, ok := init.Take(^Of(sig))
				if !ok {
					init.AwaitSignals(Of(sig))
					init.Sleep(nil, time.Now().Add(10*time.Millisecond))
					init.RestoreMask()
					continue
				}
				if info.Value != next[info.PID] {
					t.Errorf("sender %d: got %d, want %d", info.PID, info.Value, next[info.PID])
				}
				next[info.PID]++
				break
			}
		}
		return 0
	})
}

// TestHammerFutex has threads pass a lock with priority inheritance around, as
// glibc's mutexes do.
func TestHammerFutex(t *testing.T) {
	const threads, rounds = 16, 200
	boot(t, Config{}, func(init *Task) int {
		addr, err := init.MM.Map(mm.Request{Len: 4096, Prot: unix.PROT_READ | unix.PROT_WRITE, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS})
		if err != nil {
			t.Fatal(err)
		}
		key := init.FutexKey(addr, true)
		inside, total := atomic.Int32{}, 0
		var done sync.WaitGroup
		for range threads {
			done.Add(1)
			thread(init, func(p *Task) int {
				defer done.Done()
				for range rounds {
					if err := p.LockPI(addr, key, time.Time{}, false); err != nil {
						t.Errorf("lock: %v", err)
					}
					if inside.Add(1) != 1 {
						t.Error("two owners")
					}
					total++
					inside.Add(-1)
					if err := p.UnlockPI(addr, key); err != nil {
						t.Errorf("unlock: %v", err)
					}
				}
				p.ExitThread(0)
				return 0
			})
		}
		done.Wait()
		if total != threads*rounds {
			t.Errorf("counted %d, want %d", total, threads*rounds)
		}
		return 0
	})
}

// TestOnlyThreadLeft ends all threads but the one that calls execve, which gets
// the process's id.
func TestOnlyThreadLeft(t *testing.T) {
	boot(t, Config{}, func(init *Task) int {
		for range 20 {
			pid := fork(init, func(p *Task) int {
				for range 4 {
					thread(p, sleeps)
				}
				for range 2 {
					thread(p, func(e *Task) int {
						if e.becomeOnly() != nil {
							call(e, func() error { return nil })
							return 0
						}
						if e.TID != e.Group.ID || len(e.Group.Tasks()) != 1 {
							t.Errorf("thread %d of %d, with %d others", e.TID, e.Group.ID, len(e.Group.Tasks())-1)
						}
						return 7
					})
				}
				return sleeps(p)
			})
			if r, err := waitFor(init, pid, 0); err != nil || r.Status != ExitStatus(7) {
				t.Errorf("got %v, %v", r, err)
			}
		}
		return 0
	})
}

// TestBound is the bound on tasks: EAGAIN, and room again after an exit.
func TestBound(t *testing.T) {
	boot(t, Config{MaxTasks: 10}, func(init *Task) int {
		var pids []int
		for {
			pid, err := init.clone(CloneArgs{ExitSignal: unix.SIGCHLD}, guest(sleeps).run)
			if err == unix.EAGAIN {
				break
			}
			pids = append(pids, pid)
		}
		if len(pids) != 9 {
			t.Errorf("%d processes besides the first, want 9", len(pids))
		}
		init.Kill(pids[3], SigInfo{Signo: unix.SIGKILL})
		if _, err := waitFor(init, pids[3], 0); err != nil {
			t.Error(err)
		}
		fork(init, sleeps)
		return 0
	})
}

// TestForkBomb is bounded, and ends with the first process.
func TestForkBomb(t *testing.T) {
	var bomb func(t *Task) int
	var forks atomic.Int32
	bomb = func(p *Task) int {
		for forks.Add(1) < 3000 {
			p.clone(CloneArgs{ExitSignal: unix.SIGCHLD}, guest(bomb).run)
		}
		return sleeps(p)
	}
	boot(t, Config{MaxTasks: 100}, func(init *Task) int {
		fork(init, bomb)
		for forks.Load() < 3000 {
			init.Sleep(nil, time.Now().Add(time.Millisecond))
		}
		return 0
	})
}

// TestLookers reads other processes' state while they come and go.
func TestLookers(t *testing.T) {
	boot(t, Config{}, func(init *Task) int {
		var stop atomic.Bool
		var looking sync.WaitGroup
		for range 2 {
			looking.Add(1)
			go func() {
				defer looking.Done()
				tasks := procTasks{init.K}
				for !stop.Load() {
					for _, pid := range tasks.PIDs() {
						if p := tasks.Task(pid); p != nil {
							p.Status()
							p.Maps()
							p.Cmdline()
							p.Threads()
							p.FDTable()
						}
					}
				}
			}()
		}
		for range 100 {
			fork(init, func(p *Task) int { thread(p, sleeps); p.SetComm("x"); return 0 })
		}
		for {
			if _, err := waitFor(init, -1, 0); err == unix.ECHILD {
				break
			}
		}
		stop.Store(true)
		looking.Wait()
		return 0
	})
}

// TestThrottle: who used a second of half a processor waits about two.
func TestThrottle(t *testing.T) {
	h := NewThrottle(0.5)
	if wait := h.charge(time.Second); wait < 1800*time.Millisecond || wait > 2*time.Second {
		t.Errorf("waits %v", wait)
	}
	h = NewThrottle(2)
	h.filled = h.filled.Add(-time.Hour) // idle for long
	if wait := h.charge(190 * time.Millisecond); wait != 0 {
		t.Errorf("waits %v for what it may use at once", wait)
	}
	if wait := h.charge(time.Second); wait < 400*time.Millisecond || wait > 500*time.Millisecond {
		t.Errorf("waits %v", wait)
	}
}

// TestFirstIsSpared: others' signals don't end the first process, unless it waits for
// them or has blocked them; its own do.
func TestFirstIsSpared(t *testing.T) {
	from := func(init *Task, sig unix.Signal) {
		me := init.PID()
		fork(init, func(p *Task) int {
			if err := p.Kill(me, SigInfo{Signo: sig, Code: SiUser, PID: int32(p.PID())}); err != nil {
				t.Error(err)
			}
			return 0
		})
		for {
			r, err := init.Wait(WaitFor{PID: -1, Options: unix.WEXITED})
			if r.PID != 0 || err == unix.ECHILD {
				return
			}
		}
	}
	status := boot(t, Config{}, func(init *Task) int {
		for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL, unix.SIGALRM, unix.SIGSTOP, 40} {
			from(init, sig)
			if init.mustEnd() || init.Pending().Has(sig) {
				t.Errorf("%v reached the first process", sig)
			}
		}
		init.SetMask(Of(unix.SIGTERM))
		from(init, unix.SIGTERM)
		if !init.Pending().Has(unix.SIGTERM) {
			t.Error("a blocked signal is lost")
		}
		init.Take(0)
		init.AwaitSignals(Of(unix.SIGTERM))
		from(init, unix.SIGTERM)
		if _, found := init.Take(0); !found {
			t.Error("a signal that is waited for is lost")
		}
		init.RestoreMask()
		init.SetMask(0)
		init.Kill(init.PID(), SigInfo{Signo: unix.SIGUSR1, Code: SiUser})
		call(init, func() error { return nil })
		return 0
	})
	if status != SignalStatus(unix.SIGUSR1) {
		t.Errorf("status %#x after its own signal", status)
	}
}
