package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
)

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
	return cpuMaskBytes, mem(t).Store64(a[2], other.Affinity())
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
	s := other.SchedPolicy()
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
	return ok(mem(t).Store32(a[1], uint32(other.SchedPolicy().Priority)))
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
	s := change(other.SchedPolicy())
	s.Priority = int(int32(priority))
	return ok(t.SetSchedPolicy(other, s))
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
	slice, fixed := timeSlices[other.SchedPolicy().Policy]
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
