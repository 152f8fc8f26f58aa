package kernel

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// SignalFile is a signalfd: who reads it takes signals that are pending for
// him. Epoll, which does not know who asks, asks for the task that made it.
type SignalFile struct {
	maker *Task
	set   atomic.Uint64 // SigSet
}

// NewSignalFile makes a signalfd for the signals of set.
func (t *Task) NewSignalFile(set SigSet) *SignalFile {
	f := &SignalFile{maker: t}
	f.SetSignals(set)
	return f
}

// SetSignals replaces the signals it takes.
func (f *SignalFile) SetSignals(set SigSet) {
	f.set.Store(uint64(set &^ unblockable))
	f.maker.arrivals.Notify(wait.In)
}

func (f *SignalFile) signals() SigSet { return SigSet(f.set.Load()) }

// Release implements vfs.File.
func (f *SignalFile) Release() {}

// Ready implements vfs.Poller.
func (f *SignalFile) Ready() wait.Mask { return f.ReadyFor(f.maker) }

// Queue implements vfs.Poller.
func (f *SignalFile) Queue() *wait.Queue { return f.QueueFor(f.maker) }

// Read implements vfs.Reader.
func (f *SignalFile) Read(p []byte) (int, error) { return f.ReadFor(f.maker, p) }

// Info implements vfs.Informer.
func (f *SignalFile) Info() string { return fmt.Sprintf("sigmask:\t%016x\n", uint64(f.signals())) }

// Lseek implements vfs.Seeker: it does nothing.
func (f *SignalFile) Lseek(cur, _ int64, _ int) (int64, error) { return cur, nil }

// ReadyFor is Ready as t sees it.
func (f *SignalFile) ReadyFor(t *Task) wait.Mask {
	if t.Pending()&f.signals() != 0 {
		return wait.In
	}
	return 0
}

// QueueFor is told when signals come for t.
func (f *SignalFile) QueueFor(t *Task) *wait.Queue { return &t.arrivals }

// signalInfoSize is sizeof(struct signalfd_siginfo).
const signalInfoSize = 128

// ReadFor takes as many of t's signals as p has room for.
func (f *SignalFile) ReadFor(t *Task, p []byte) (int, error) {
	if len(p) < signalInfoSize {
		return 0, unix.EINVAL
	}
	n := 0
	for len(p)-n >= signalInfoSize {
		info, ok := t.Take(^f.signals())
		if !ok {
			break
		}
		copy(p[n:], info.signalfd())
		n += signalInfoSize
	}
	if n == 0 {
		return 0, unix.EAGAIN
	}
	return n, nil
}

// signalfd is struct signalfd_siginfo.
func (s *SigInfo) signalfd() []byte {
	b := make([]byte, signalInfoSize)
	le := binary.LittleEndian
	le.PutUint32(b, uint32(s.Signo))
	le.PutUint32(b[4:], uint32(s.Errno))
	le.PutUint32(b[8:], uint32(s.Code))
	le.PutUint32(b[12:], uint32(s.PID))
	le.PutUint32(b[16:], s.UID)
	le.PutUint32(b[40:], uint32(s.Status))
	if s.Code == SiQueue || s.Code == SiTimer {
		le.PutUint32(b[44:], uint32(s.Value))
		le.PutUint64(b[48:], s.Value)
	}
	if s.isFault() {
		le.PutUint64(b[72:], s.Addr)
	}
	return b
}
