// Package seccomp is what a task may still ask of the kernel, seccomp(2):
// filters in classic BPF, checked as net/core/filter.c and kernel/seccomp.c do,
// and the strict mode. It knows numbers and arguments of system calls, not what they
// do, nor what happens to a task that made a forbidden one, nor who answers in its place.
package seccomp

import (
	"encoding/binary"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Modes, as PR_GET_SECCOMP tells them.
const (
	ModeStrict = 1
	ModeFilter = 2
)

// What a filter can return: an action in the high half, data in the low one,
// uapi/linux/seccomp.h.
const (
	KillProcess = 0x80000000
	KillThread  = 0
	Trap        = 0x00030000
	Errno       = 0x00050000
	UserNotif   = 0x7fc00000
	Trace       = 0x7ff00000
	Log         = 0x7ffc0000
	Allow       = 0x7fff0000

	actionMask = 0xffff0000
	dataMask   = 0x0000ffff
)

// Actions are those that have a meaning here.
var Actions = map[uint32]bool{KillProcess: true, KillThread: true, Trap: true, Errno: true, UserNotif: true, Trace: true, Log: true, Allow: true}

// Verdict is what is to be done about a system call.
type Verdict uint32

// Action is one of the constants, or anything else that a filter returned.
func (v Verdict) Action() uint32 { return uint32(v) & actionMask }

// Data is what the filter says besides, such as the error.
func (v Verdict) Data() uint32 { return uint32(v) & dataMask }

// DataSize is sizeof(struct seccomp_data), bytes.
const DataSize = 64

// Arch is AUDIT_ARCH_X86_64.
const Arch = 0xc000003e

// Call is a system call as filters see it.
type Call struct {
	Nr   uint32
	PC   uint64 // of the instruction after it
	Args [6]uint64
}

// Bytes is struct seccomp_data.
func (c Call) Bytes() (b [DataSize]byte) {
	le := binary.LittleEndian
	le.PutUint32(b[0:], c.Nr)
	le.PutUint32(b[4:], Arch)
	le.PutUint64(b[8:], c.PC)
	for i, v := range c.Args {
		le.PutUint64(b[16+8*i:], v)
	}
	return b
}

// Listener is told of the calls that a filter says UserNotif of.
type Listener interface {
	// Open tells whether somebody listens.
	Open() bool
	// Orphaned is called when the last task that has the filter is gone.
	Orphaned()
}

// State is a task's mode; nil is none. But for the users, it is not changed once made.
type State struct {
	mode     int
	program  Program
	listener Listener // nil: nobody
	before   *State   // what the filter was added to
	filters  int
	cost     int // instructions of all filters, and a few for each

	// users are the tasks that have it, and the states in use that it is the
	// one before of.
	users atomic.Int32
}

// Retain counts one more task that has s.
func (s *State) Retain() {
	if s != nil {
		s.users.Add(1)
	}
}

// Release counts one less.
func (s *State) Release() {
	for ; s != nil && s.users.Add(-1) == 0; s = s.before {
		if s.listener != nil {
			s.listener.Orphaned()
		}
	}
}

// listens tells whether somebody listens to one of the filters.
func (s *State) listens() bool {
	for ; s != nil; s = s.before {
		if s.listener != nil && s.listener.Open() {
			return true
		}
	}
	return false
}

// Bounds of all filters of a task, instructions.
const (
	filterCost = 4
	maxCost    = 32768 // MAX_INSNS_PER_PATH
)

// Strict is s in strict mode. EINVAL if it has filters.
func (s *State) Strict() (*State, error) {
	if s.Mode() == ModeFilter {
		return nil, unix.EINVAL
	}
	n := &State{mode: ModeStrict}
	n.users.Store(1)
	return n, nil
}

// Add is s with another filter, which takes over the task's use of s. EINVAL in
// strict mode, ENOMEM if there are too many filters, EBUSY if one has a
// listener already and l is not nil.
func (s *State) Add(p Program, l Listener) (*State, error) {
	if s.Mode() == ModeStrict {
		return nil, unix.EINVAL
	}
	if l != nil && s.listens() {
		return nil, unix.EBUSY
	}
	n := &State{mode: ModeFilter, program: p, listener: l, before: s, filters: 1, cost: len(p)}
	n.users.Store(1)
	if s != nil {
		n.filters += s.filters
		n.cost += s.cost + filterCost
	}
	if n.cost > maxCost {
		return nil, unix.ENOMEM
	}
	return n, nil
}

// Mode is 0 for none.
func (s *State) Mode() int {
	if s == nil {
		return 0
	}
	return s.mode
}

// Counts are the mode and the number of filters.
func (s *State) Counts() [2]int {
	if s == nil {
		return [2]int{}
	}
	return [2]int{s.mode, s.filters}
}

// From tells whether s was made of other by adding filters, so that who has
// other may be given s.
func (s *State) From(other *State) bool {
	for ; s != nil; s = s.before {
		if s == other {
			return true
		}
	}
	return other == nil
}

// strictCalls are the system calls of the strict mode.
var strictCalls = map[uint32]bool{unix.SYS_READ: true, unix.SYS_WRITE: true, unix.SYS_EXIT: true, unix.SYS_RT_SIGRETURN: true}

// Judge is what s says of a call in filter mode: that of all filters which allows least, and
// of several such the newest's, with that one's listener.
func (s *State) Judge(c Call) (least Verdict, l Listener) {
	data := c.Bytes()
	least = Allow
	for f := s; f != nil; f = f.before {
		v := Verdict(f.program.run(&data))
		if int32(v.Action()) < int32(least.Action()) {
			least, l = v, f.listener
		}
	}
	return least, l
}

// StrictAllows tells whether the strict mode lets a call through.
func StrictAllows(nr uint32) bool { return strictCalls[nr] }
