package kernel

import "golang.org/x/sys/unix"

// oomScore is what a process says of itself for when memory runs out, /proc/PID/oom_score_adj.
// It is remembered and has no effect: KillLargest takes the largest.
type oomScore struct {
	adj int
	min int // how low it may be set without CAP_SYS_RESOURCE
}

// OOMScoreAdj is between -1000 and 1000.
func (t *Task) OOMScoreAdj() int {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	return t.Group.oom.adj
}

// SetOOMScoreAdj is __set_oom_adj: EACCES for less than the process was allowed, or
// than what it has if set by the older file.
func (t *Task) SetOOMScoreAdj(n int, older bool) error {
	may := t.Creds().Has(unix.CAP_SYS_RESOURCE)
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	lowest := t.Group.oom.min
	if older {
		lowest = t.Group.oom.adj
	}
	if n < lowest && !may {
		return unix.EACCES
	}
	t.Group.oom.adj = n
	if may && !older {
		t.Group.oom.min = n
	}
	return nil
}
