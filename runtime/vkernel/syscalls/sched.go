package syscalls

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// Scheduling is the host's: policies, priorities and affinity are remembered,
// and have no effect.

// thread is the thread that a sched_* call is about: t for 0.
func thread(t *kernel.Task, tid int) (*kernel.Task, error) {
	if tid < 0 {
		return nil, unix.EINVAL
	}
	if tid == 0 {
		return t, nil
	}
	if other := t.K.Task(tid); other != nil {
		return other, nil
	}
	return nil, unix.ESRCH
}

// cpuMaskBytes is the size of the kernel's cpumask, bytes.
const cpuMaskBytes = 8

func sysSchedGetaffinity(t *kernel.Task, a Args) (uint64, error) {
	if a.Uint(1) < cpuMaskBytes || a.Uint(1)%8 != 0 {
		return 0, unix.EINVAL
	}
	of, err := thread(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	return cpuMaskBytes, mem(t).Store64(a[2], of.Attributes().CPUs)
}

func sysSchedSetaffinity(t *kernel.Task, a Args) (uint64, error) {
	var raw [cpuMaskBytes]byte
	if err := mem(t).CopyIn(a[2], raw[:min(a.Uint(1), cpuMaskBytes)]); err != nil {
		return 0, err
	}
	of, err := thread(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	cpus := binary.LittleEndian.Uint64(raw[:]) & kernel.AllCPUs()
	if cpus == 0 {
		return 0, unix.EINVAL
	}
	of.SetAttributes(func(at *kernel.Attributes) { at.CPUs = cpus })
	return 0, nil
}

func sysSchedGetscheduler(t *kernel.Task, a Args) (uint64, error) {
	of, err := thread(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	return uint64(of.Attributes().Policy), nil
}

func sysSchedGetparam(t *kernel.Task, a Args) (uint64, error) {
	if a[1] == 0 {
		return 0, unix.EINVAL
	}
	if _, err := thread(t, a.Int(0)); err != nil {
		return 0, err
	}
	return ok(mem(t).Store32(a[1], 0))
}

func sysSchedSetscheduler(t *kernel.Task, a Args) (uint64, error) {
	if a.Int(1) < 0 {
		return 0, unix.EINVAL
	}
	return ok(setPolicy(t, a.Int(0), a.Int(1), a[2]))
}

func sysSchedSetparam(t *kernel.Task, a Args) (uint64, error) {
	of, err := thread(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	return ok(setPolicy(t, a.Int(0), of.Attributes().Policy, a[1]))
}

// setPolicy reads struct sched_param, whose one member is the priority.
func setPolicy(t *kernel.Task, tid, policy int, param uint64) error {
	if param == 0 {
		return unix.EINVAL
	}
	priority, err := mem(t).Load32(param)
	if err != nil {
		return err
	}
	of, err := thread(t, tid)
	if err != nil {
		return err
	}
	if err := mayHave(policy, priority); err != nil {
		return err
	}
	of.SetAttributes(func(at *kernel.Attributes) { at.Policy = policy })
	return nil
}

// mayHave is EPERM for real-time policies, as without CAP_SYS_NICE.
func mayHave(policy int, priority uint32) error {
	switch policy {
	case unix.SCHED_NORMAL, unix.SCHED_BATCH, unix.SCHED_IDLE:
		if priority != 0 {
			return unix.EINVAL
		}
		return nil
	case unix.SCHED_FIFO, unix.SCHED_RR:
		if priority < 1 || priority > 99 {
			return unix.EINVAL
		}
		return unix.EPERM
	case unix.SCHED_DEADLINE:
		return unix.EPERM
	}
	return unix.EINVAL
}

// Sizes of struct sched_attr, bytes: its first version's, and ours.
const (
	schedAttrFirst = 48
	schedAttrSize  = 56
)

// sysSchedGetattr writes size, policy, flags, nice and priority; the rest is of other policies.
func sysSchedGetattr(t *kernel.Task, a Args) (uint64, error) {
	size := a.Uint(2)
	if a[1] == 0 || size < schedAttrFirst || size > 4096 || a.Uint(3) != 0 {
		return 0, unix.EINVAL
	}
	of, err := thread(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	nice, err := t.Nice(unix.PRIO_PROCESS, of.PID())
	if err != nil {
		return 0, err
	}
	size = min(size, schedAttrSize)
	b := ints(int(size), of.Attributes().Policy, 0, 0, nice, 0)
	return ok(mem(t).CopyOut(a[1], append(b, make([]byte, int(size)-len(b))...)))
}

func sysSchedSetattr(t *kernel.Task, a Args) (uint64, error) {
	var raw [schedAttrFirst]byte
	if a[1] == 0 || a.Uint(2) != 0 {
		return 0, unix.EINVAL
	}
	if err := mem(t).CopyIn(a[1], raw[:]); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	if size := le.Uint32(raw[:]); size != 0 && size < schedAttrFirst || size > 4096 {
		return 0, unix.E2BIG
	}
	of, err := thread(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	policy := int(le.Uint32(raw[4:]))
	if err := mayHave(policy, le.Uint32(raw[20:])); err != nil {
		return 0, err
	}
	if err := t.SetNice(unix.PRIO_PROCESS, of.PID(), int(int32(le.Uint32(raw[16:])))); err != nil {
		return 0, err
	}
	of.SetAttributes(func(at *kernel.Attributes) { at.Policy = policy })
	return 0, nil
}
