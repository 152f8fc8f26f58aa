package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
)

// Scheduling is the host's: policies, priorities and affinity are remembered,
// and have no effect.

// cpuMaskBytes is the size of the kernel's cpumask, bytes.
const cpuMaskBytes = 8

// scheduled is the task that a scheduling call means; 0 is the caller.
func scheduled(t *kernel.Task, pid int) (*kernel.Task, error) {
	if pid < 0 {
		return nil, unix.EINVAL
	}
	if pid == 0 {
		return t, nil
	}
	if other := t.K.Task(pid); other != nil {
		return other, nil
	}
	return nil, unix.ESRCH
}

func sysSchedGetaffinity(t *kernel.Task, a Args) (uint64, error) {
	if a.Uint(1) < cpuMaskBytes || a.Uint(1)%8 != 0 {
		return 0, unix.EINVAL
	}
	other, err := affine(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	return cpuMaskBytes, mem(t).Store64(a[2], other.Attributes().CPUs)
}

func sysSchedSetaffinity(t *kernel.Task, a Args) (uint64, error) {
	mask := make([]byte, cpuMaskBytes)
	if err := mem(t).CopyIn(a[2], mask[:min(cpuMaskBytes, a.Uint(1))]); err != nil {
		return 0, err
	}
	other, err := affine(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	return ok(t.SetAffinity(other, binary.LittleEndian.Uint64(mask)))
}

// affine is scheduled for the two calls to which no task has a negative id.
func affine(t *kernel.Task, pid int) (*kernel.Task, error) {
	if pid < 0 {
		return nil, unix.ESRCH
	}
	return scheduled(t, pid)
}

func sysSchedGetscheduler(t *kernel.Task, a Args) (uint64, error) {
	other, err := scheduled(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	s := other.Attributes().Sched
	if s.ResetOnFork {
		return uint64(s.Policy | unix.SCHED_RESET_ON_FORK), nil
	}
	return uint64(s.Policy), nil
}

func sysSchedGetparam(t *kernel.Task, a Args) (uint64, error) {
	other, err := scheduled(t, a.Int(0))
	if err != nil || a[1] == 0 {
		return 0, orInvalid(err)
	}
	return ok(mem(t).Store32(a[1], uint32(other.Attributes().Sched.Priority)))
}

// orInvalid is EINVAL where nothing else is wrong.
func orInvalid(err error) error {
	if err == nil {
		return unix.EINVAL
	}
	return err
}

func sysSchedSetparam(t *kernel.Task, a Args) (uint64, error) {
	return setScheduler(t, a.Int(0), a[1], func(s kernel.SchedPolicy) kernel.SchedPolicy { return s })
}

func sysSchedSetscheduler(t *kernel.Task, a Args) (uint64, error) {
	policy := a.Int(1)
	if policy < 0 {
		return 0, unix.EINVAL
	}
	return setScheduler(t, a.Int(0), a[2], func(kernel.SchedPolicy) kernel.SchedPolicy {
		return kernel.SchedPolicy{Policy: policy &^ unix.SCHED_RESET_ON_FORK, ResetOnFork: policy&unix.SCHED_RESET_ON_FORK != 0}
	})
}

// setScheduler gives a task the policy that change makes of its old one, and
// the priority of the struct sched_param at param.
func setScheduler(t *kernel.Task, pid int, param uint64, change func(kernel.SchedPolicy) kernel.SchedPolicy) (uint64, error) {
	if param == 0 || pid < 0 {
		return 0, unix.EINVAL
	}
	priority, err := mem(t).Load32(param)
	if err != nil {
		return 0, err
	}
	other, err := scheduled(t, pid)
	if err != nil {
		return 0, err
	}
	s := change(other.Attributes().Sched)
	s.Priority = int(int32(priority))
	return ok(t.SetSchedPolicy(other, s))
}

// struct sched_attr: sizes of its first version and of ours, bytes, and the flag of
// SCHED_RESET_ON_FORK.
const (
	schedAttrFirst     = 48
	schedAttrSize      = 56
	schedAttrMax       = 4096
	schedFlagResetFork = 1
)

// sysSchedGetattr writes size, policy, flags, nice and priority; the rest is of other policies.
func sysSchedGetattr(t *kernel.Task, a Args) (uint64, error) {
	size := a.Uint(2)
	if a[1] == 0 || size < schedAttrFirst || size > schedAttrMax || a.Uint(3) != 0 {
		return 0, unix.EINVAL
	}
	other, err := scheduled(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	nice, err := t.Nice(unix.PRIO_PROCESS, other.PID())
	if err != nil {
		return 0, err
	}
	s, flags := other.Attributes().Sched, 0
	if s.ResetOnFork {
		flags = schedFlagResetFork
	}
	if s.Priority != 0 {
		nice = 0 // the struct has one or the other
	}
	size = min(size, schedAttrSize)
	b := ints(int(size), s.Policy, flags, 0, nice, s.Priority)
	return ok(mem(t).CopyOut(a[1], append(b, make([]byte, int(size)-len(b))...)))
}

func sysSchedSetattr(t *kernel.Task, a Args) (uint64, error) {
	var raw [schedAttrFirst]byte
	if a[1] == 0 || a.Int(0) < 0 || a.Uint(2) != 0 {
		return 0, unix.EINVAL
	}
	if err := mem(t).CopyIn(a[1], raw[:]); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	if size := le.Uint32(raw[:]); size != 0 && size < schedAttrFirst || size > schedAttrMax {
		return 0, unix.E2BIG
	}
	flags := le.Uint64(raw[8:])
	if flags&^schedFlagResetFork != 0 {
		return 0, unix.EINVAL
	}
	other, err := scheduled(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	return ok(setAttr(t, other, kernel.SchedPolicy{
		Policy: int(int32(le.Uint32(raw[4:]))), Priority: int(int32(le.Uint32(raw[20:]))), ResetOnFork: flags != 0,
	}, int(int32(le.Uint32(raw[16:])))))
}

// setAttr sets a policy and, of those that go by it, the nice value.
func setAttr(t, other *kernel.Task, s kernel.SchedPolicy, nice int) error {
	if s.Policy == unix.SCHED_DEADLINE {
		return unix.EPERM // as without the privilege
	}
	if err := t.CheckSchedPolicy(other, s); err != nil {
		return err
	}
	if s.Policy == unix.SCHED_NORMAL || s.Policy == unix.SCHED_BATCH {
		err := t.SetNice(unix.PRIO_PROCESS, other.PID(), nice)
		if err == unix.EACCES {
			err = unix.EPERM // where setpriority has EACCES
		}
		if err != nil {
			return err
		}
	}
	return t.SetSchedPolicy(other, s)
}

// timeSlices are what sched_rr_get_interval tells of Linux' defaults; a task of
// SCHED_FIFO has no end of its turn.
var timeSlices = map[int]time.Duration{unix.SCHED_RR: 100 * time.Millisecond, unix.SCHED_FIFO: 0}

// fairSlice is that of the other policies.
const fairSlice = 3 * time.Millisecond

func sysSchedRRGetInterval(t *kernel.Task, a Args) (uint64, error) {
	other, err := scheduled(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	slice, fixed := timeSlices[other.Attributes().Sched.Policy]
	if !fixed {
		slice = fairSlice
	}
	ts := linux.Timespec{Sec: int64(slice / time.Second), Nsec: int64(slice % time.Second)}
	return ok(mem(t).CopyOut(a[1], ts.Append(nil)))
}

// schedPriority is the bounds of real-time priorities by policy.
func schedPriority(bound uint64) Func {
	return func(_ *kernel.Task, a Args) (uint64, error) {
		switch a.Int(0) {
		case unix.SCHED_FIFO, unix.SCHED_RR:
			return bound, nil
		case unix.SCHED_NORMAL, unix.SCHED_BATCH, unix.SCHED_IDLE, unix.SCHED_DEADLINE:
			return 0, nil
		}
		return 0, unix.EINVAL
	}
}
