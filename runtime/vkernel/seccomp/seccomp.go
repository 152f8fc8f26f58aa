// Package seccomp is what a task may still ask of the kernel, seccomp(2):
// filters in classic BPF, checked as net/core/filter.c and kernel/seccomp.c do,
// and the strict mode. It knows numbers and arguments of system calls, not what they
// do, nor what happens to a task that made a forbidden one.
package seccomp

import (
	"encoding/binary"

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
var Actions = map[uint32]bool{KillProcess: true, KillThread: true, Trap: true, Errno: true, Trace: true, Log: true, Allow: true}

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

// bytes is struct seccomp_data.
func (c Call) bytes() (b [DataSize]byte) {
	le := binary.LittleEndian
	le.PutUint32(b[0:], c.Nr)
	le.PutUint32(b[4:], Arch)
	le.PutUint64(b[8:], c.PC)
	for i, v := range c.Args {
		le.PutUint64(b[16+8*i:], v)
	}
	return b
}

// State is a task's mode; nil is none. It is not changed once made.
type State struct {
	mode    int
	program Program
	before  *State // what the filter was added to
	filters int
	cost    int // instructions of all filters, and a few for each
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
	return &State{mode: ModeStrict}, nil
}

// Add is s with another filter. EINVAL in strict mode, ENOMEM if there are too
// many.
func (s *State) Add(p Program) (*State, error) {
	if s.Mode() == ModeStrict {
		return nil, unix.EINVAL
	}
	n := &State{mode: ModeFilter, program: p, before: s, filters: 1, cost: len(p)}
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
// of several such the newest's.
func (s *State) Judge(c Call) Verdict {
	data, least := c.bytes(), Verdict(Allow)
	for f := s; f != nil; f = f.before {
		v := Verdict(f.program.run(&data))
		if int32(v.Action()) < int32(least.Action()) {
			least = v
		}
	}
	return least
}

// StrictAllows tells whether the strict mode lets a call through.
func StrictAllows(nr uint32) bool { return strictCalls[nr] }
