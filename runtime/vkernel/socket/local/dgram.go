package local

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// maxDgrams is how many datagrams wait in a socket before a sender that it is
// not connected to has to wait (net.unix.max_dgram_qlen).
const maxDgrams = 10

// dgram is a SOCK_DGRAM socket.
type dgram struct {
	base
	in socket.Half

	// Guarded by fam.mu.
	peer             *dgram
	sendShut, noRecv bool

	blockedMu sync.Mutex
	blocked   map[*dgram]bool // those that found in full
}

func (f *Family) newDgram(k socket.Kind) *dgram {
	s := &dgram{blocked: map[*dgram]bool{}}
	s.in = socket.Half{Reader: &s.Common, Spare: spare}
	s.init(f, k, s)
	return s
}

// Release implements vfs.File.
func (s *dgram) Release() {
	s.fam.mu.Lock()
	s.forget()
	s.fam.mu.Unlock()
	s.in.Drop()
	s.wakeBlocked()
}

// Connect implements socket.Socket: it sets the peer, or takes it away.
func (s *dgram) Connect(c *socket.Caller, addr []byte) error {
	if len(addr) >= 2 && socket.Domain(addr) == unix.AF_UNSPEC {
		s.setPeer(nil)
		return nil
	}
	e, err := s.fam.find(c, addr, s.Type)
	if err != nil {
		return err
	}
	if s.passcred() && !s.named() {
		s.autobind()
	}
	to := e.(*dgram)
	if !s.mayReach(to) {
		return unix.EPERM
	}
	s.setPeer(to)
	return nil
}

func (s *dgram) setPeer(to *dgram) {
	s.fam.mu.Lock()
	defer s.fam.mu.Unlock()
	s.peer = to
}

// mayReach tells whether to takes datagrams from s: one that is connected
// takes them from its peer only.
func (s *dgram) mayReach(to *dgram) bool {
	s.fam.mu.Lock()
	defer s.fam.mu.Unlock()
	return to.peer == nil || to.peer == s
}

// target is who a message goes to.
func (s *dgram) target(c *socket.Caller, m *socket.Message) (*dgram, error) {
	if len(m.Addr) > 0 {
		e, err := s.fam.find(c, m.Addr, s.Type)
		if err != nil {
			return nil, err
		}
		return e.(*dgram), nil
	}
	s.fam.mu.Lock()
	defer s.fam.mu.Unlock()
	to := s.peer
	switch {
	case to == nil:
		return nil, unix.ENOTCONN
	case to.closed:
		s.peer = nil
		return nil, unix.ECONNREFUSED
	}
	return to, nil
}

// Send implements socket.Socket.
func (s *dgram) Send(c *socket.Caller, m *socket.Message) (int, error) {
	creds, err := s.sender(c, m)
	if err != nil {
		return 0, err
	}
	to, err := s.target(c, m)
	switch {
	case err != nil:
		return 0, err
	case m.Len() > s.sendBuffer()-32:
		return 0, unix.EMSGSIZE
	case !s.mayReach(to):
		return 0, unix.EPERM
	case s.shut():
		return 0, unix.EPIPE
	}
	return s.put(to, m, creds)
}

func (s *dgram) shut() bool {
	s.fam.mu.Lock()
	defer s.fam.mu.Unlock()
	return s.sendShut
}

func (s *dgram) put(to *dgram, m *socket.Message, creds socket.Ucred) (int, error) {
	s.fam.mu.Lock()
	name, mutual := s.name, to.peer == s
	s.fam.mu.Unlock()
	try := func() (int, error) {
		if !mutual && to.in.Packets() > maxDgrams {
			return 0, unix.EAGAIN
		}
		to.in.SetLimit(s.sendBuffer())
		return to.in.Put(m, name, creds)
	}
	n, err := try()
	if err == unix.EAGAIN {
		to.block(s)
		n, err = try() // what was read meanwhile told nobody
	}
	return n, err
}

// block notes that from waits for room in s.
func (s *dgram) block(from *dgram) {
	s.blockedMu.Lock()
	defer s.blockedMu.Unlock()
	s.blocked[from] = true
}

// wakeBlocked tells those that wait for room to try again.
func (s *dgram) wakeBlocked() {
	s.blockedMu.Lock()
	blocked := s.blocked
	if len(blocked) == 0 {
		s.blockedMu.Unlock()
		return
	}
	s.blocked = map[*dgram]bool{}
	s.blockedMu.Unlock()
	for d := range blocked {
		d.Notify(wait.Out)
	}
}

// Recv implements socket.Socket.
func (s *dgram) Recv(m *socket.Message) (int, error) {
	if m.Flags&unix.MSG_OOB != 0 {
		return 0, unix.EOPNOTSUPP
	}
	if err := s.TakeError(); err != nil {
		return 0, err
	}
	n, err := s.in.Take(m, false)
	if err != nil {
		return 0, err
	}
	s.wakeBlocked()
	if !s.passcred() {
		m.Control.Creds = nil
	}
	return n, nil
}

// Shutdown implements socket.Socket.
func (s *dgram) Shutdown(how int) error {
	if how < unix.SHUT_RD || how > unix.SHUT_RDWR {
		return unix.EINVAL
	}
	s.fam.mu.Lock()
	s.sendShut = s.sendShut || how != unix.SHUT_RD
	s.noRecv = s.noRecv || how != unix.SHUT_WR
	end := s.noRecv
	s.fam.mu.Unlock()
	if end {
		s.in.End()
	}
	s.Notify(socket.Gone)
	return nil
}

// Ready implements vfs.Poller.
func (s *dgram) Ready() (m wait.Mask) {
	if s.Failed() {
		m |= wait.Err
	}
	readable, ended, _, _ := s.in.State()
	if readable {
		m |= wait.In
	}
	if ended {
		m |= wait.RDHup
	}
	s.fam.mu.Lock()
	to, sendShut := s.peer, s.sendShut
	mutual := to != nil && to.peer == s
	s.fam.mu.Unlock()
	if ended && sendShut {
		m |= wait.Hup
	}
	if to == nil || to.hasRoom(mutual) {
		return m | wait.Out
	}
	to.block(s)
	if to.hasRoom(mutual) {
		m |= wait.Out
	}
	return m
}

// hasRoom tells whether a sender need not wait.
func (s *dgram) hasRoom(mutual bool) bool {
	if mutual {
		_, _, writable, broken := s.in.State()
		return writable || broken
	}
	return s.in.Packets() <= maxDgrams
}

// Peer implements socket.Socket.
func (s *dgram) Peer() ([]byte, error) {
	s.fam.mu.Lock()
	defer s.fam.mu.Unlock()
	if s.peer == nil {
		return nil, unix.ENOTCONN
	}
	return s.peer.address(), nil
}

// Option implements socket.Socket.
func (s *dgram) Option(level, name, size int) ([]byte, error) {
	if level == unix.SOL_SOCKET && name == unix.SO_PEERCRED {
		return encodeCreds(nil), nil
	}
	return s.Common.Option(level, name, size)
}

// Readable implements socket.Socket: the size of the next datagram.
func (s *dgram) Readable() (int, error) { return s.in.First(), nil }
