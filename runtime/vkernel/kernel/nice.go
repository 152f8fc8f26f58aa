package kernel

import "golang.org/x/sys/unix"

// Bounds of nice values.
const (
	minNice = -20
	maxNice = 19
)

// niceTargets are the processes that getpriority and setpriority mean.
// Preconditions: Kernel.mu is held.
func (t *Task) niceTargets(which, who int) (list []*ThreadGroup, err error) {
	k := t.K
	switch which {
	case unix.PRIO_PROCESS:
		g := t.Group
		if other := k.tasks[who]; who != 0 {
			if other == nil {
				return nil, unix.ESRCH
			}
			g = other.Group
		}
		return []*ThreadGroup{g}, nil
	case unix.PRIO_PGRP:
		p := t.Group.pgrp
		if who != 0 {
			p = k.pgroups[who]
		}
		if p == nil {
			return nil, unix.ESRCH
		}
		for g := range p.members {
			list = append(list, g)
		}
		return list, nil
	case unix.PRIO_USER:
		uid := uint32(who)
		if who == 0 {
			uid = t.Creds().UID
		}
		for _, g := range k.groups {
			if g.uid() == uid {
				list = append(list, g)
			}
		}
		if list == nil {
			return nil, unix.ESRCH
		}
		return list, nil
	}
	return nil, unix.EINVAL
}

// Nice is getpriority: the lowest nice value of those meant.
func (t *Task) Nice(which, who int) (int, error) {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	list, err := t.niceTargets(which, who)
	lowest := maxNice
	for _, g := range list {
		lowest = min(lowest, g.nice)
	}
	return lowest, err
}

// SetNice is setpriority: EACCES to lower a value without privilege, EPERM for
// another user's processes. It is remembered, and has no effect.
func (t *Task) SetNice(which, who, nice int) error {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	list, err := t.niceTargets(which, who)
	if err != nil {
		return err
	}
	nice = max(minNice, min(maxNice, nice))
	me := t.Creds()
	for _, g := range list {
		switch uid := g.uid(); {
		case me.Has(unix.CAP_SYS_NICE):
			g.nice = nice
		case uid != me.UID && uid != me.EUID:
			err = unix.EPERM
		case nice < g.nice:
			err = unix.EACCES
		default:
			g.nice = nice
		}
	}
	return err
}
