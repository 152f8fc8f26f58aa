package kernel

import (
	"encoding/binary"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/linux"
)

// SigSet is a set of signals: bit n-1 is signal n.
type SigSet uint64

// MaxSignal is the highest signal number.
const MaxSignal = 64

// Of is the set of one signal.
func Of(sig unix.Signal) SigSet { return 1 << (sig - 1) }

// Has tells whether sig is in the set.
func (s SigSet) Has(sig unix.Signal) bool { return s&Of(sig) != 0 }

// unblockable is what no mask holds.
var unblockable = Of(unix.SIGKILL) | Of(unix.SIGSTOP)

// SigInfo is siginfo_t as the kernel keeps it. Which fields count is a
// matter of Code.
type SigInfo struct {
	Signo  unix.Signal
	Errno  int32
	Code   int32
	PID    int32
	UID    uint32
	Value  uint64 // si_value
	Status int32  // SIGCHLD
	Addr   uint64 // faults, and SIGSYS
	Call   Call   // SIGSYS
}

// Call is a system call that was not let through: its number and AUDIT_ARCH_*.
type Call struct{ Nr, Arch uint32 }

// Codes of SigInfo, asm-generic/siginfo.h.
const (
	SiUser     = 0
	SiKernel   = 0x80
	SiQueue    = -1
	SiTimer    = -2
	SiMesgq    = -3
	SiTkill    = -6
	SegvMaper  = 1
	SegvAccerr = 2
	FpeIntDiv  = 1
	IllOpn     = 2
	TrapBrkpt  = 1
	trapLast   = 6 // TRAP_PERF; what is above is a tracer's
	BusAdrErr  = 2
	SysFilter  = 1 // SYS_SECCOMP
	PollMsg    = 3
	CldExited  = 1
	CldKilled  = 2

	CldTrapped   = 4
	CldStopped   = 5
	CldContinued = 6
)

// SigInfoSize is sizeof(siginfo_t).
const SigInfoSize = 128

// Append appends siginfo_t.
func (s *SigInfo) Append(b []byte) []byte {
	le := binary.LittleEndian
	end := len(b) + SigInfoSize
	b = le.AppendUint32(b, uint32(s.Signo))
	b = le.AppendUint32(b, uint32(s.Errno))
	b = le.AppendUint32(b, uint32(s.Code))
	b = le.AppendUint32(b, 0)
	switch {
	case s.Call != Call{}:
		b = le.AppendUint64(b, s.Addr)
		b = le.AppendUint32(b, s.Call.Nr)
		b = le.AppendUint32(b, s.Call.Arch)
	case s.Addr != 0 || s.isFault():
		b = le.AppendUint64(b, s.Addr)
	case s.Signo == unix.SIGCHLD:
		b = le.AppendUint32(b, uint32(s.PID))
		b = le.AppendUint32(b, s.UID)
		b = le.AppendUint32(b, uint32(s.Status))
	default:
		b = le.AppendUint32(b, uint32(s.PID))
		b = le.AppendUint32(b, s.UID)
		b = le.AppendUint64(b, s.Value)
	}
	return append(b, make([]byte, end-len(b))...)
}

func (s *SigInfo) isFault() bool {
	switch s.Signo {
	case unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL:
		return s.Code > 0 && s.Code != SiKernel
	case unix.SIGTRAP:
		return s.Code > 0 && s.Code <= trapLast
	}
	return false
}

// Flags of an Action, asm/signal.h.
const (
	SaNoCldStop = 1
	SaNoCldWait = 2
	SaSigInfo   = 4
	SaRestorer  = 0x04000000
	SaOnStack   = 0x08000000
	SaRestart   = 0x10000000
	SaNoDefer   = 0x40000000
	SaResetHand = 0x80000000
	// SaFlags are all that Linux keeps: UAPI_SA_FLAGS and asm's own.
	SaFlags = SaNoCldStop | SaNoCldWait | SaSigInfo | SaRestorer | SaOnStack | SaRestart | SaNoDefer | SaResetHand | saExposeTagBits

	saExposeTagBits = 0x800
)

// Handlers that are no addresses.
const (
	SigDfl = 0
	SigIgn = 1
)

// Action is struct kernel_sigaction.
type Action struct {
	Handler  uint64
	Flags    uint64
	Restorer uint64
	Mask     SigSet
}

// SignalHandlers is what CLONE_SIGHAND shares.
type SignalHandlers struct {
	mu      sync.Mutex
	actions [MaxSignal + 1]Action
}

// Get is the action of a signal.
func (h *SignalHandlers) Get(sig unix.Signal) Action {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.actions[sig]
}

// Set replaces the action of a signal and gives the one before.
func (h *SignalHandlers) Set(sig unix.Signal, a Action) Action {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.actions[sig]
	a.Mask &^= unblockable
	h.actions[sig] = a
	return old
}

// Fork is a copy.
func (h *SignalHandlers) Fork() *SignalHandlers {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &SignalHandlers{actions: h.actions}
}

// reset is what execve does: handlers become default, ignored stay ignored.
func (h *SignalHandlers) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.actions {
		if h.actions[i].Handler == SigIgn {
			h.actions[i] = Action{Handler: SigIgn}
			continue
		}
		h.actions[i] = Action{}
	}
}

// disposition is what a default action does, signal(7).
type disposition uint8

const (
	dispTerm disposition = iota
	dispIgnore
	dispStop
)

var defaults = map[unix.Signal]disposition{
	unix.SIGCHLD: dispIgnore, unix.SIGCONT: dispIgnore, unix.SIGURG: dispIgnore, unix.SIGWINCH: dispIgnore,
	unix.SIGSTOP: dispStop, unix.SIGTSTP: dispStop, unix.SIGTTIN: dispStop, unix.SIGTTOU: dispStop,
}

// ignores tells whether the signal would have no effect.
func (h *SignalHandlers) ignores(sig unix.Signal) bool {
	a := h.Get(sig)
	return a.Handler == SigIgn || a.Handler == SigDfl && defaults[sig] == dispIgnore
}

// sigQueue holds signals that were sent and not delivered. Below 32 one of each
// number is kept; real-time signals queue.
type sigQueue struct {
	set  SigSet
	list []SigInfo
}

const firstRealTime = 32

// maxQueued is how many signals may be queued: RLIMIT_SIGPENDING's default.
const maxQueued = 30000

// add queues a signal; EAGAIN if there is no room.
func (q *sigQueue) add(info SigInfo) error {
	if q.set.Has(info.Signo) && info.Signo < firstRealTime {
		return nil
	}
	if len(q.list) >= maxQueued {
		return unix.EAGAIN
	}
	q.set |= Of(info.Signo)
	q.list = append(q.list, info)
	return nil
}

// take removes the lowest signal not in mask, the oldest of its number.
func (q *sigQueue) take(mask SigSet) (SigInfo, bool) {
	best := -1
	for i, info := range q.list {
		if !mask.Has(info.Signo) && (best < 0 || info.Signo < q.list[best].Signo) {
			best = i
		}
	}
	if best < 0 {
		return SigInfo{}, false
	}
	info := q.list[best]
	q.list = append(q.list[:best:best], q.list[best+1:]...)
	q.recount()
	return info, true
}

// drop removes all signals of the set.
func (q *sigQueue) drop(set SigSet) {
	var kept []SigInfo
	for _, info := range q.list {
		if !set.Has(info.Signo) {
			kept = append(kept, info)
		}
	}
	q.list = kept
	q.recount()
}

func (q *sigQueue) recount() {
	q.set = 0
	for _, info := range q.list {
		q.set |= Of(info.Signo)
	}
}

// AltStack is stack_t: where handlers with SA_ONSTACK run.
type AltStack struct {
	Addr  uint64
	Flags uint32
	Size  uint64 // bytes
}

// Flags of an AltStack.
const (
	SsOnStack    = 1
	SsDisable    = 2
	SsAutodisarm = 1 << 31
)

// holds tells whether sp is on the stack.
func (a AltStack) holds(sp uint64) bool {
	return a.Size != 0 && sp > a.Addr && sp-a.Addr <= a.Size
}

var errnoOf = linux.Errno
