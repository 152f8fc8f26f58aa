package kernel

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// SchedPolicy is a task's scheduling policy, its real-time priority, and
// whether its children begin without real-time ones (SCHED_RESET_ON_FORK). It is
// remembered and has no effect: the host's scheduler decides.
type SchedPolicy struct {
	Policy, Priority int
	ResetOnFork      bool
}

// MaxRealtime is the highest real-time priority; the lowest is 1.
const MaxRealtime = 99

// realtime tells whether the policy has real-time priorities.
func (s SchedPolicy) realtime() bool {
	return s.Policy == unix.SCHED_FIFO || s.Policy == unix.SCHED_RR
}

// check refuses what is no policy.
func (s SchedPolicy) check() error {
	switch s.Policy {
	case unix.SCHED_NORMAL, unix.SCHED_BATCH, unix.SCHED_IDLE, unix.SCHED_FIFO, unix.SCHED_RR:
	default:
		return unix.EINVAL
	}
	if s.Priority < 0 || s.Priority > MaxRealtime || s.realtime() != (s.Priority != 0) {
		return unix.EINVAL
	}
	return nil
}

// sched is what of scheduling belongs to a task. Guarded by Kernel.mu.
type sched struct {
	policy SchedPolicy
	cpus   uint64 // affinity; 0 is all
}

// fork is what a child begins with.
func (s sched) fork() sched {
	if s.policy.ResetOnFork && s.policy.realtime() {
		s.policy = SchedPolicy{}
	}
	s.policy.ResetOnFork = false
	return s
}

// allCPUs is the mask of the processors that there are.
func allCPUs() uint64 { return 1<<min(runtime.NumCPU(), 64) - 1 }

// Affinity is the mask of the processors that the task may run on.
func (t *Task) Affinity() uint64 {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	if t.sched.cpus == 0 {
		return allCPUs()
	}
	return t.sched.cpus
}

// SetAffinity sets another task's mask, or its own: EINVAL if it has no
// processor that there is, EPERM for another user's task.
func (t *Task) SetAffinity(other *Task, mask uint64) error {
	if !t.schedules(other) {
		return unix.EPERM
	}
	if mask &= allCPUs(); mask == 0 {
		return unix.EINVAL
	}
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	other.sched.cpus = mask
	return nil
}

// schedules tells whether the task may change how another is scheduled.
func (t *Task) schedules(other *Task) bool {
	me, it := t.Creds(), other.Creds()
	return me.Has(unix.CAP_SYS_NICE) || me.EUID == it.EUID || me.EUID == it.UID
}

// SchedPolicy is the task's policy.
func (t *Task) SchedPolicy() SchedPolicy {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	return t.sched.policy
}

// SetSchedPolicy sets another task's policy, or its own: EINVAL if there is no
// such, EPERM without the privilege or the resource limit for it, as
// kernel/sched/syscalls.c has it.
func (t *Task) SetSchedPolicy(other *Task, s SchedPolicy) error {
	if err := s.check(); err != nil {
		return err
	}
	if !t.Creds().Has(unix.CAP_SYS_NICE) && !t.mayHave(other, s) {
		return unix.EPERM
	}
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	other.sched.policy = s
	return nil
}

// mayHave tells whether an unprivileged task may give another the policy.
func (t *Task) mayHave(other *Task, s SchedPolicy) bool {
	old := other.SchedPolicy()
	if s.realtime() {
		limit, _ := other.Group.Limits.Get(rlimitRtprio)
		if s.Policy != old.Policy && limit.Cur == 0 || s.Priority > old.Priority && uint64(s.Priority) > limit.Cur {
			return false
		}
	}
	if old.Policy == unix.SCHED_IDLE && s.Policy != unix.SCHED_IDLE {
		// As if from nice value 20.
		t.K.mu.Lock()
		nice := other.Group.nice
		t.K.mu.Unlock()
		if limit, _ := other.Group.Limits.Get(rlimitNice); uint64(maxNice+1-nice) > limit.Cur {
			return false
		}
	}
	return t.schedules(other) && (s.ResetOnFork || !old.ResetOnFork)
}
