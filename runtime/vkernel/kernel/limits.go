package kernel

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Infinity is RLIM_INFINITY.
const Infinity = ^uint64(0)

// Limit is one resource's soft and hard limit.
type Limit struct {
	Cur, Max uint64
}

// numLimits is RLIM_NLIMITS.
const numLimits = 16

// Limits are a process's resource limits.
type Limits struct {
	mu     sync.Mutex
	values [numLimits]Limit
}

// DefaultLimits are those of a container on an ordinary host.
func DefaultLimits() *Limits {
	l := &Limits{}
	for i := range l.values {
		l.values[i] = Limit{Infinity, Infinity}
	}
	l.values[unix.RLIMIT_STACK] = Limit{8 << 20, Infinity}
	l.values[unix.RLIMIT_CORE] = Limit{0, Infinity}
	l.values[unix.RLIMIT_NPROC] = Limit{30000, 30000}
	l.values[unix.RLIMIT_NOFILE] = Limit{1024, 1 << 20}
	l.values[unix.RLIMIT_MEMLOCK] = Limit{8 << 20, 8 << 20}
	l.values[rlimitSigpending] = Limit{30000, 30000}
	l.values[rlimitMsgqueue] = Limit{819200, 819200}
	l.values[rlimitNice] = Limit{0, 0}
	l.values[rlimitRtprio] = Limit{0, 0}
	return l
}

const (
	rlimitSigpending = 11
	rlimitMsgqueue   = 12
	rlimitNice       = 13
	rlimitRtprio     = 14
)

// Get is the limit of resource RLIMIT_*, or EINVAL.
func (l *Limits) Get(resource int) (Limit, error) {
	if resource < 0 || resource >= numLimits {
		return Limit{}, unix.EINVAL
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.values[resource], nil
}

// Set changes a limit: EPERM to raise the hard one without privilege.
func (l *Limits) Set(resource int, v Limit, privileged bool) error {
	if resource < 0 || resource >= numLimits || v.Cur > v.Max {
		return unix.EINVAL
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if v.Max > l.values[resource].Max && !privileged {
		return unix.EPERM
	}
	l.values[resource] = v
	return nil
}

// Fork is a copy.
func (l *Limits) Fork() *Limits {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &Limits{values: l.values}
}

// Memory is the soft RLIMIT_AS and RLIMIT_DATA.
func (l *Limits) Memory() (space, data uint64) {
	s, _ := l.Get(unix.RLIMIT_AS)
	d, _ := l.Get(unix.RLIMIT_DATA)
	return s.Cur, d.Cur
}

// Files is the soft RLIMIT_NOFILE.
func (l *Limits) Files() int {
	v, _ := l.Get(unix.RLIMIT_NOFILE)
	return int(min(v.Cur, 1<<20))
}
