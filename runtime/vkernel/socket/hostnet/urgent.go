package hostnet

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// urgent is what is known of a socket's out-of-band data. The host reports
// EPOLLPRI with whatever happens as long as the urgent byte can be read; its place in
// the stream tells whether it is another one.
type urgent struct {
	pending  atomic.Bool  // it can be read, as far as is known
	place    atomic.Int64 // of the last one that was told of
	passed   atomic.Int64 // likewise, where the reader stands at it
	received atomic.Int64 // bytes that were read
}

// tell tells of events, first of out-of-band data that was not told of.
func (s *sock) tell(events wait.Mask) {
	switch {
	case events&wait.Pri == 0:
		s.pending.Store(false)
	case s.moved() || !s.pending.Swap(true):
		s.Notify(wait.Urgent)
	}
	s.Notify(events)
}

// moved tells whether the mark is not where it was. SIOCINQ counts up to it, but
// not with SO_OOBINLINE: then it is taken to be where it was.
func (s *sock) moved() bool {
	inline, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_OOBINLINE)
	if err != nil || inline != 0 {
		return false
	}
	n, err := s.Readable()
	if err != nil {
		return false
	}
	place := s.received.Load() + int64(n)
	if s.place.Swap(place) != place {
		s.passed.Store(0)
		return true
	}
	return n == 0 && s.replaced()
}

// replaced tells whether there is another mark than last time where the reader
// stands: what has come without what is behind the mark.
func (s *sock) replaced() bool {
	info, err := unix.GetsockoptTCPInfo(s.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return false
	}
	behind, _, e := unix.Syscall6(unix.SYS_RECVFROM, uintptr(s.fd), 0, maxBehind, unix.MSG_PEEK|unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		behind = 0
	}
	now := int64(info.Bytes_received) - int64(behind)
	old := s.passed.Swap(now)
	return old != 0 && old != now
}

// maxBehind is more than a socket holds, bytes. With MSG_TRUNC nothing is copied.
const maxBehind = 1 << 30

// read takes note of a receive of n bytes.
func (s *sock) read(n, flags int) {
	if flags&(unix.MSG_PEEK|unix.MSG_OOB) == 0 {
		s.received.Add(int64(n))
	}
	if s.pending.Load() && s.Ready()&wait.Pri == 0 {
		s.pending.Store(false)
	}
}

// AtMark implements socket.Marker.
func (s *sock) AtMark() (bool, error) {
	n, err := unix.IoctlGetInt(s.fd, siocATMark)
	return n != 0, err
}

// siocATMark is SIOCATMARK, asm-generic/sockios.h.
const siocATMark = 0x8905
