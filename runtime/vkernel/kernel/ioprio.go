package kernel

import "golang.org/x/sys/unix"

// IOPrio is a priority for input and output: class and level, as ioprio_set(2)
// takes them. It has no effect.
type IOPrio uint16

// Classes of an IOPrio, uapi/linux/ioprio.h.
const (
	ioClassNone = iota
	ioClassRealTime
	ioClassBestEffort
	ioClassIdle

	ioClassShift = 13
	ioLevels     = 8
)

func (p IOPrio) class() int { return int(p >> ioClassShift) }
func (p IOPrio) level() int { return int(p & (1<<3 - 1)) }

// check is ioprio_check_cap.
func (p IOPrio) check(c *Creds) error {
	switch p.class() {
	case ioClassRealTime:
		if !c.Has(unix.CAP_SYS_ADMIN) && !c.Has(unix.CAP_SYS_NICE) {
			return unix.EPERM
		}
	case ioClassBestEffort, ioClassIdle:
	case ioClassNone:
		if p.level() != 0 {
			return unix.EINVAL
		}
	default:
		return unix.EINVAL
	}
	return nil
}

// better is the more urgent one.
func (p IOPrio) better(o IOPrio) IOPrio { return min(p, o) }

// effective is the priority of a task that may have none of its own: then it
// follows the nice value.
func (t *Task) effectiveIOPrio() IOPrio {
	a := t.Attributes()
	if a.IOPrio.class() != ioClassNone {
		return a.IOPrio
	}
	class := ioClassBestEffort
	switch a.Sched.Policy {
	case unix.SCHED_IDLE:
		class = ioClassIdle
	case unix.SCHED_FIFO, unix.SCHED_RR:
		class = ioClassRealTime
	}
	return IOPrio(class<<ioClassShift | (t.Group.nice-minNice)/5)
}

// ioTargets are the tasks that ioprio_get and ioprio_set mean.
// Preconditions: Kernel.mu is held.
func (t *Task) ioTargets(which, who int) (list []*Task, err error) {
	if which == unix.PRIO_PROCESS {
		if who == 0 {
			return []*Task{t}, nil
		}
		if other := t.K.tasks[who]; other != nil {
			return []*Task{other}, nil
		}
		return nil, unix.ESRCH
	}
	groups, err := t.niceTargets(which, who)
	for _, g := range groups {
		g.mu.Lock()
		for other := range g.tasks {
			list = append(list, other)
		}
		g.mu.Unlock()
	}
	return list, err
}

// IOPrio is ioprio_get; which is PRIO_PROCESS and the like. Of several tasks it is
// the most urgent one's.
func (t *Task) IOPrio(which, who int) (IOPrio, error) {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	list, err := t.ioTargets(which, who)
	if err != nil {
		return 0, err
	}
	if which == unix.PRIO_PROCESS {
		return list[0].Attributes().IOPrio, nil
	}
	best := IOPrio(ioClassIdle<<ioClassShift | ioLevels - 1)
	for _, other := range list {
		best = best.better(other.effectiveIOPrio())
	}
	return best, nil
}

// SetIOPrio is ioprio_set.
func (t *Task) SetIOPrio(which, who int, p IOPrio) error {
	me := t.Creds()
	if err := p.check(me); err != nil {
		return err
	}
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	list, err := t.ioTargets(which, who)
	for _, other := range list {
		uid := other.Creds().UID
		if uid != me.EUID && uid != me.UID && !me.Has(unix.CAP_SYS_NICE) {
			return unix.EPERM
		}
		other.SetAttributes(func(a *Attributes) { a.IOPrio = p })
	}
	return err
}
