package local

import (
	"encoding/binary"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// stream is a SOCK_STREAM or SOCK_SEQPACKET socket: fresh, listening or
// connected.
type stream struct {
	base
	conn atomic.Pointer[conn] // set once

	// Guarded by fam.mu.
	queue     *backlog
	peerCreds *socket.Ucred // SO_PEERCRED, nil before a connection
}

// conn is a connected socket's two directions.
type conn struct {
	in, out *socket.Half
	other   *stream
}

// backlog is the connections that a listening socket has not accepted yet.
type backlog struct {
	max     int
	ready   []*stream
	waiting map[*stream]bool // those that found it full
	shut    bool
}

func (f *Family) newStream(k socket.Kind) *stream {
	s := &stream{}
	s.init(f, k, s)
	return s
}

// spare is what unix_writable wants: three quarters of the send buffer free,
// in twelfths.
const spare = 9

// join connects two sockets.
// Preconditions: fam.mu is held.
func join(a, b *stream) {
	half := func(from, to *stream) *socket.Half {
		h := &socket.Half{Reader: &to.Common, Writer: &from.Common, Stream: from.Type == unix.SOCK_STREAM, Spare: spare}
		h.SetLimit(from.sendBuffer())
		return h
	}
	ab, ba := half(a, b), half(b, a)
	a.conn.Store(&conn{in: ba, out: ab, other: b})
	b.conn.Store(&conn{in: ab, out: ba, other: a})
}

// Release implements vfs.File.
func (s *stream) Release() {
	s.fam.mu.Lock()
	s.forget()
	q := s.queue
	s.fam.mu.Unlock()
	if q != nil {
		s.closeBacklog(q)
	}
	c := s.conn.Load()
	if c == nil {
		return
	}
	lost := c.in.Drop()
	c.in.End()
	c.out.End()
	if lost {
		c.other.Fail(unix.ECONNRESET)
	}
}

// closeBacklog refuses who waits and resets who is connected.
func (s *stream) closeBacklog(q *backlog) {
	s.fam.mu.Lock()
	ready, waiting := q.ready, q.waiting
	q.ready, q.waiting = nil, nil
	s.fam.mu.Unlock()
	for _, r := range ready {
		r.conn.Load().other.Fail(unix.ECONNRESET)
		r.Release()
	}
	for w := range waiting {
		w.Notify(wait.Out)
	}
}

// Listen implements socket.Socket.
func (s *stream) Listen(c *socket.Caller, n int) error {
	s.fam.mu.Lock()
	defer s.fam.mu.Unlock()
	switch {
	case s.name == nil, s.conn.Load() != nil:
		return unix.EINVAL
	case s.queue == nil:
		s.queue = &backlog{waiting: map[*stream]bool{}}
	}
	s.queue.max = socket.Backlog(n)
	s.peerCreds = &c.Creds
	s.SetListening()
	return nil
}

// Connect implements socket.Socket.
func (s *stream) Connect(c *socket.Caller, addr []byte) error {
	e, err := s.fam.find(c, addr, s.Type)
	if err != nil {
		return err
	}
	if s.passcred() && !s.named() {
		s.autobind()
	}
	to := e.(*stream)
	if err := s.connect(c, to); err != nil {
		return err
	}
	to.Notify(wait.In)
	s.Notify(wait.Out)
	return nil
}

func (s *stream) connect(c *socket.Caller, to *stream) error {
	f := s.fam
	f.mu.Lock()
	defer f.mu.Unlock()
	q := to.queue
	switch {
	case to.closed, q == nil, q.shut:
		return unix.ECONNREFUSED
	case s.conn.Load() != nil:
		return unix.EISCONN
	case s.queue != nil:
		return unix.EINVAL
	case len(q.ready) > q.max:
		q.waiting[s] = true
		return unix.EAGAIN
	}
	other := &stream{}
	other.Init(s.Kind)
	other.Inherit(&to.Common)
	other.fam, other.self, other.name = f, other, to.name
	f.all[other] = true
	join(s, other)
	s.peerCreds, other.peerCreds = to.peerCreds, &c.Creds
	q.ready = append(q.ready, other)
	return nil
}

// Accept implements socket.Socket.
func (s *stream) Accept() (socket.Socket, error) {
	s.fam.mu.Lock()
	q := s.queue
	switch {
	case q == nil, q.shut && len(q.ready) == 0:
		s.fam.mu.Unlock()
		return nil, unix.EINVAL
	case len(q.ready) == 0:
		s.fam.mu.Unlock()
		return nil, unix.EAGAIN
	}
	next := q.ready[0]
	q.ready = q.ready[1:]
	waiting := q.waiting
	q.waiting = map[*stream]bool{}
	s.fam.mu.Unlock()
	for w := range waiting {
		w.Notify(wait.Out)
	}
	return next, nil
}

// notConnected is the error of a read or write before there is a connection.
func (s *stream) notConnected(read bool) error {
	if read && s.Type == unix.SOCK_STREAM {
		return unix.EINVAL
	}
	return unix.ENOTCONN
}

// Send implements socket.Socket.
func (s *stream) Send(c *socket.Caller, m *socket.Message) (int, error) {
	creds, err := s.sender(c, m)
	if err != nil {
		return 0, err
	}
	conn := s.conn.Load()
	switch {
	case len(m.Addr) > 0 && s.Type == unix.SOCK_STREAM && conn != nil:
		return 0, unix.EISCONN
	case len(m.Addr) > 0 && s.Type == unix.SOCK_STREAM:
		return 0, unix.EOPNOTSUPP
	case conn == nil:
		return 0, s.notConnected(false)
	}
	return conn.out.Put(m, nil, creds)
}

// Recv implements socket.Socket.
func (s *stream) Recv(m *socket.Message) (int, error) {
	conn := s.conn.Load()
	if conn == nil {
		return 0, s.notConnected(true)
	}
	if m.Flags&unix.MSG_OOB != 0 {
		if s.Type == unix.SOCK_SEQPACKET {
			return 0, unix.EOPNOTSUPP
		}
		return conn.in.TakeUrgent(m)
	}
	if s.Type == unix.SOCK_SEQPACKET {
		if err := s.TakeError(); err != nil {
			return 0, err
		}
	}
	room := m.Len()
	passcred := s.passcred()
	n, err := conn.in.Take(m, passcred)
	if n == 0 && room > 0 {
		if failed := s.TakeError(); failed != nil {
			return 0, failed
		}
	}
	if !passcred {
		m.Control.Creds = nil
	}
	return n, err
}

// Shutdown implements socket.Socket.
func (s *stream) Shutdown(how int) error {
	if how < unix.SHUT_RD || how > unix.SHUT_RDWR {
		return unix.EINVAL
	}
	if c := s.conn.Load(); c != nil {
		if how != unix.SHUT_RD {
			c.out.End()
		}
		if how != unix.SHUT_WR {
			c.in.End()
			c.other.Notify(socket.Gone)
		}
	} else if how != unix.SHUT_WR {
		s.shutBacklog()
	}
	s.Notify(socket.Gone)
	return nil
}

func (s *stream) shutBacklog() {
	s.fam.mu.Lock()
	defer s.fam.mu.Unlock()
	if s.queue != nil {
		s.queue.shut = true
	}
}

// Ready implements vfs.Poller.
func (s *stream) Ready() (m wait.Mask) {
	if s.Failed() {
		m |= wait.Err
	}
	c := s.conn.Load()
	if c == nil {
		return m | s.readyAlone()
	}
	readable, inEnded, _, _ := c.in.State()
	_, outEnded, writable, broken := c.out.State()
	if readable {
		m |= wait.In
	}
	if c.in.Urgent() {
		m |= wait.Pri
	}
	if inEnded {
		m |= wait.RDHup
	}
	if writable {
		m |= wait.Out
	}
	if inEnded && (outEnded || broken) {
		m |= wait.Hup
	}
	return m
}

// readyAlone is Ready without a connection.
func (s *stream) readyAlone() wait.Mask {
	s.fam.mu.Lock()
	defer s.fam.mu.Unlock()
	switch {
	case s.queue == nil:
		return wait.Out | wait.Hup
	case s.queue.shut:
		return socket.AtEnd
	case len(s.queue.ready) > 0:
		return wait.In
	}
	return 0
}

// Peer implements socket.Socket.
func (s *stream) Peer() ([]byte, error) {
	c := s.conn.Load()
	if c == nil {
		return nil, unix.ENOTCONN
	}
	s.fam.mu.Lock()
	defer s.fam.mu.Unlock()
	return c.other.address(), nil
}

// SetOption implements socket.Socket.
func (s *stream) SetOption(level, name int, value []byte) error {
	if err := s.Common.SetOption(level, name, value); err != nil {
		return err
	}
	if c := s.conn.Load(); c != nil && level == unix.SOL_SOCKET && name == unix.SO_SNDBUF {
		c.out.SetLimit(s.sendBuffer())
	}
	return nil
}

// Option implements socket.Socket.
func (s *stream) Option(level, name, size int) ([]byte, error) {
	if level == unix.SOL_SOCKET && name == unix.SO_PEERCRED {
		s.fam.mu.Lock()
		defer s.fam.mu.Unlock()
		return encodeCreds(s.peerCreds), nil
	}
	return s.Common.Option(level, name, size)
}

// encodeCreds is a struct ucred; without a peer the ids are -1.
func encodeCreds(c *socket.Ucred) []byte {
	if c == nil {
		c = &socket.Ucred{UID: ^uint32(0), GID: ^uint32(0)}
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(c.PID))
	b = binary.LittleEndian.AppendUint32(b, c.UID)
	return binary.LittleEndian.AppendUint32(b, c.GID)
}

// Readable implements socket.Socket.
func (s *stream) Readable() (int, error) {
	c := s.conn.Load()
	switch {
	case c == nil && s.listening():
		return 0, unix.EINVAL
	case c == nil:
		return 0, nil
	}
	return c.in.Bytes(), nil
}

// AtMark implements socket.Marker.
func (s *stream) AtMark() (bool, error) {
	if s.Type != unix.SOCK_STREAM {
		return s.base.AtMark()
	}
	c := s.conn.Load()
	return c != nil && c.in.AtMark(), nil
}

func (s *stream) listening() bool {
	s.fam.mu.Lock()
	defer s.fam.mu.Unlock()
	return s.queue != nil
}

// Unsent implements socket.Socket.
func (s *stream) Unsent() (int, error) {
	if c := s.conn.Load(); c != nil {
		return c.out.Bytes(), nil
	}
	return 0, nil
}
