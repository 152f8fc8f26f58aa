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

// fork is what a child begins with.
func (s SchedPolicy) fork() SchedPolicy {
	if s.ResetOnFork && s.realtime() {
		return SchedPolicy{}
	}
	s.ResetOnFork = false
	return s
}

// allCPUs is the affinity of who has not been told otherwise: the processors
// that there are.
func allCPUs() uint64 { return uint64(1)<<min(runtime.NumCPU(), 64) - 1 }

// SetAffinity sets the mask of the processors that another task may run on, or
// the task itself: EINVAL if it has no processor that there is, EPERM for
// another user's task.
func (t *Task) SetAffinity(other *Task, mask uint64) error {
	if !t.schedules(other) {
		return unix.EPERM
	}
	if mask &= allCPUs(); mask == 0 {
		return unix.EINVAL
	}
	other.SetAttributes(func(a *Attributes) { a.CPUs = mask })
	return nil
}

// schedules tells whether the task may change how another is scheduled.
func (t *Task) schedules(other *Task) bool {
	me, it := t.Creds(), other.Creds()
	return me.Has(unix.CAP_SYS_NICE) || me.EUID == it.EUID || me.EUID == it.UID
}

// SetSchedPolicy sets another task's policy, or its own. See CheckSchedPolicy.
func (t *Task) SetSchedPolicy(other *Task, s SchedPolicy) error {
	if err := t.CheckSchedPolicy(other, s); err != nil {
		return err
	}
	other.SetAttributes(func(a *Attributes) { a.Sched = s })
	return nil
}

// CheckSchedPolicy tells whether the task may set another's policy, or its own:
// EINVAL if there is no such, EPERM without the privilege or the resource limit
// for it, as kernel/sched/syscalls.c has it.
func (t *Task) CheckSchedPolicy(other *Task, s SchedPolicy) error {
	if err := s.check(); err != nil {
		return err
	}
	if !t.Creds().Has(unix.CAP_SYS_NICE) && !t.mayHave(other, s) {
		return unix.EPERM
	}
	return nil
}

// mayHave tells whether an unprivileged task may give another the policy.
func (t *Task) mayHave(other *Task, s SchedPolicy) bool {
	old := other.Attributes().Sched
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
