package inet

import (
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// tcp is a SOCK_STREAM socket.
type tcp struct {
	base
	conn atomic.Pointer[conn]
	// dead says that the connection failed or was reset; readShut that
	// SHUT_RD was called.
	dead, readShut atomic.Bool

	// Guarded by stack.mu.
	told    bool     // connect said that the connection is there
	queue   *backlog // of a listening socket
	waiting *tcp     // the listening socket whose full queue it waits for
	stopped bool     // it listened and was shut down
}

// conn is a connection's two directions as one end sees them.
type conn struct {
	in, out *socket.Half
	other   *tcp
}

// backlog is the connections that a listening socket has not accepted.
type backlog struct {
	max   int
	ready []*tcp
	syns  []*tcp // those that came when it was full
}

func newTCP(s *Stack, k socket.Kind) *tcp {
	t := &tcp{}
	t.stack, t.ports, t.owner = s, &s.tcp, t
	t.Init(k, tables(k)...)
	t.local = netip.AddrPortFrom(t.any(), 0)
	s.keep(&t.base)
	return t
}

// Sizes of a connection's buffers, bytes: what Linux grows them to on
// loopback.
const (
	grownSendBuffer = 2626560
	loopbackMSS     = 65483
)

// spareTCP is how much of a queue is free when it counts as writable, in
// twelfths (sk_stream_is_writeable).
const spareTCP = 4

// join connects two sockets whose names are set.
func join(a, b *tcp) {
	half := func(from, to *tcp) *socket.Half {
		h := &socket.Half{Reader: &to.Common, Writer: &from.Common, Stream: true, TCP: true, Spare: spareTCP}
		if !from.IsSet(unix.SOL_SOCKET, unix.SO_SNDBUF) {
			from.Keep(unix.SOL_SOCKET, unix.SO_SNDBUF, grownSendBuffer)
		}
		h.SetLimit(from.window(to))
		return h
	}
	ab, ba := half(a, b), half(b, a)
	a.Keep(levelTCP, unix.TCP_MAXSEG, loopbackMSS)
	b.Keep(levelTCP, unix.TCP_MAXSEG, loopbackMSS)
	a.conn.Store(&conn{in: ba, out: ab, other: b})
	b.conn.Store(&conn{in: ab, out: ba, other: a})
}

// window is how much may be on its way from t to another socket.
func (t *tcp) window(to *tcp) int {
	return t.Int(unix.SOL_SOCKET, unix.SO_SNDBUF) + to.Int(unix.SOL_SOCKET, unix.SO_RCVBUF)
}

// Listen implements socket.Socket.
func (t *tcp) Listen(_ *socket.Caller, n int) error {
	t.stack.mu.Lock()
	defer t.stack.mu.Unlock()
	if t.conn.Load() != nil || t.waiting != nil {
		return unix.EINVAL
	}
	if err := t.mayListen(); err != nil {
		return err
	}
	if err := t.autobind(t.local.Addr()); err != nil {
		return err
	}
	if t.queue == nil {
		t.queue = &backlog{}
	}
	t.queue.max, t.listening, t.stopped = socket.Backlog(n), true, false
	t.SetListening()
	return nil
}

// mayListen checks that no other socket listens where t is about to: two may
// be bound with SO_REUSEADDR, but only one may listen.
// Preconditions: the stack is locked.
func (t *tcp) mayListen() error {
	if !t.bound || t.listening {
		return nil
	}
	for _, other := range t.ports.bound[t.local.Port()] {
		if other != &t.base && other.listening && other.conflicts(&t.base, t.local.Addr()) {
			return unix.EADDRINUSE
		}
	}
	return nil
}

// Connect implements socket.Socket.
func (t *tcp) Connect(_ *socket.Caller, addr []byte) error {
	if socket.Domain(addr) == unix.AF_UNSPEC && len(addr) >= 2 {
		t.disconnect()
		return nil
	}
	if err, begun := t.connecting(); begun {
		return err
	}
	to, err := t.parse(addr)
	if err != nil {
		return err
	}
	t.stack.mu.Lock()
	l, err := t.begin(to)
	t.stack.mu.Unlock()
	switch {
	case err == unix.ECONNREFUSED:
		t.dead.Store(true)
		t.Fail(err)
	case err != nil:
		return err
	default:
		l.Notify(wait.In)
		t.Notify(wait.Out)
	}
	return unix.EINPROGRESS
}

// connecting is the answer of connect after the first one.
func (t *tcp) connecting() (err error, begun bool) {
	t.stack.mu.Lock()
	defer t.stack.mu.Unlock()
	switch {
	case t.queue != nil && !t.stopped:
		return unix.EISCONN, true
	case t.conn.Load() != nil && t.told:
		return unix.EISCONN, true
	case t.conn.Load() != nil:
		t.told = true
		return nil, true
	case t.waiting != nil:
		return unix.EALREADY, true
	}
	if err := t.TakeError(); err != nil {
		t.dead.Store(false)
		return err, true
	}
	return nil, false
}

// Connected implements socket.Socket.
func (t *tcp) Connected() error {
	t.stack.mu.Lock()
	defer t.stack.mu.Unlock()
	switch {
	case t.conn.Load() != nil:
		t.told = true
		return nil
	case t.waiting != nil:
		return unix.EAGAIN
	}
	if err := t.TakeError(); err != nil {
		t.dead.Store(false) // as before the connect
		return err
	}
	return unix.ECONNABORTED
}

// begin sends the SYN, so to say. The result is the listening socket.
// Preconditions: the stack is locked.
func (t *tcp) begin(to netip.AddrPort) (*tcp, error) {
	dst, src, err := t.route(to)
	if err != nil {
		return nil, err
	}
	if !isLocal(dst.Addr()) {
		return nil, unix.ENETUNREACH
	}
	if !t.bound {
		if err := t.ports.take(&t.base, netip.AddrPortFrom(src, 0)); err != nil {
			return nil, unix.EADDRNOTAVAIL
		}
	}
	t.dead.Store(false)
	t.local = netip.AddrPortFrom(src, t.local.Port())
	return t.syn(dst)
}

// syn puts t, whose name is set, into the queue of who listens at dst.
// Preconditions: the stack is locked.
func (t *tcp) syn(dst netip.AddrPort) (*tcp, error) {
	b := t.stack.find(t.ports, t.local, dst, func(b *base) bool { return b.listening })
	if b == nil {
		return nil, unix.ECONNREFUSED
	}
	l := b.owner.(*tcp)
	t.remote = dst
	if len(l.queue.ready) > l.queue.max {
		t.waiting = l
		l.queue.syns = append(l.queue.syns, t)
		return l, nil
	}
	l.establish(t)
	return l, nil
}

// establish makes the other end of t's connection and queues it.
// Preconditions: the stack is locked.
func (l *tcp) establish(t *tcp) {
	other := newTCP(l.stack, l.Kind)
	other.Inherit(&l.Common)
	other.local, other.remote, other.told = t.remote, t.local, true
	t.waiting = nil
	join(t, other)
	l.queue.ready = append(l.queue.ready, other)
}

// Accept implements socket.Socket.
func (t *tcp) Accept() (socket.Socket, error) {
	t.stack.mu.Lock()
	q := t.queue
	switch {
	case q == nil, t.stopped:
		t.stack.mu.Unlock()
		return nil, unix.EINVAL
	case len(q.ready) == 0:
		t.stack.mu.Unlock()
		return nil, unix.EAGAIN
	}
	next := q.ready[0]
	q.ready = q.ready[1:]
	var come *tcp
	if len(q.syns) > 0 {
		come = q.syns[0]
		q.syns = q.syns[1:]
		t.establish(come)
	}
	t.stack.mu.Unlock()
	if come != nil {
		come.Notify(wait.Out)
		t.Notify(wait.In)
	}
	return next, nil
}

// stopListening resets who was not accepted.
func (t *tcp) stopListening() {
	t.stack.mu.Lock()
	q := t.queue
	t.queue, t.listening, t.stopped = nil, false, q != nil
	if q == nil {
		t.stack.mu.Unlock()
		return
	}
	for _, s := range q.syns {
		s.waiting = nil
	}
	t.stack.mu.Unlock()
	for _, s := range q.syns {
		s.dead.Store(true)
		s.Fail(unix.ECONNREFUSED)
	}
	for _, r := range q.ready {
		r.stack.drop(&r.base)
		r.close(true)
	}
}

// Release implements vfs.File.
func (t *tcp) Release() {
	t.stopListening()
	t.stack.drop(&t.base)
	t.stack.mu.Lock()
	if w := t.waiting; w != nil && w.queue != nil {
		w.queue.drop(t)
	}
	t.waiting = nil
	t.ports.release(&t.base)
	t.stack.mu.Unlock()
	l := t.Linger()
	t.close(l.On && l.Seconds == 0)
}

func (q *backlog) drop(t *tcp) {
	for i, s := range q.syns {
		if s == t {
			q.syns = append(q.syns[:i:i], q.syns[i+1:]...)
			return
		}
	}
}

// close ends the connection: in order, or with a reset if it must or if data
// was not read.
func (t *tcp) close(reset bool) {
	c := t.conn.Load()
	if c == nil {
		return
	}
	_, ended, _, _ := c.out.State()
	if c.in.Drop() || reset {
		c.other.reset(ended)
		return
	}
	c.out.End()
}

// reset is what a RST segment does. fin says that the other end had ended
// its direction before.
func (t *tcp) reset(fin bool) {
	if t.dead.Swap(true) {
		return
	}
	t.conn.Load().out.Drop()
	if fin {
		t.Fail(unix.EPIPE)
	} else {
		t.Fail(unix.ECONNRESET)
	}
}

// disconnect is connect to AF_UNSPEC.
func (t *tcp) disconnect() {
	t.close(true)
	t.stack.mu.Lock()
	defer t.stack.mu.Unlock()
	t.conn.Store(nil)
	t.dead.Store(false)
	t.told = false
	t.forget()
}

// Send implements socket.Socket.
func (t *tcp) Send(_ *socket.Caller, m *socket.Message) (int, error) {
	c := t.conn.Load()
	switch {
	case c == nil:
		return 0, t.notConnected(unix.EPIPE)
	case t.dead.Load():
		return 0, t.broken()
	}
	_, ended, _, gone := c.out.State()
	if gone && !ended {
		if m.Len() == 0 {
			return 0, nil // no segment
		}
		// The other end is closed: it answers with a reset.
		_, fin, _, _ := c.in.State()
		t.reset(fin)
		return m.Len(), nil
	}
	n, err := c.out.Put(m, nil, socket.Ucred{})
	if err == unix.EPIPE {
		err = t.broken()
	}
	return n, err
}

// broken is the error of a write to a connection that is gone.
func (t *tcp) broken() error {
	if err := t.TakeError(); err != nil {
		return err
	}
	return unix.EPIPE
}

// notConnected is the error of a read or write before there is a connection:
// otherwise unless it is on its way.
func (t *tcp) notConnected(otherwise error) error {
	t.stack.mu.Lock()
	defer t.stack.mu.Unlock()
	if t.waiting != nil {
		return unix.EAGAIN
	}
	if err := t.TakeError(); err != nil {
		return err
	}
	return otherwise
}

// Recv implements socket.Socket.
func (t *tcp) Recv(m *socket.Message) (int, error) {
	c := t.conn.Load()
	switch {
	case m.Flags&unix.MSG_ERRQUEUE != 0:
		return 0, unix.EAGAIN // no packet is ever lost
	case m.Flags&unix.MSG_OOB != 0:
		return t.recvUrgent(c, m)
	case c == nil && t.dead.Load():
		return 0, t.TakeError()
	case c == nil:
		return 0, t.notConnected(unix.ENOTCONN)
	}
	n, err := c.in.Take(m, false)
	m.Control.Creds = nil
	if err != unix.EAGAIN {
		return n, err
	}
	if err := t.TakeError(); err != nil {
		return 0, err
	}
	if t.readShut.Load() || t.dead.Load() {
		return 0, nil
	}
	return 0, unix.EAGAIN
}

// recvUrgent is Recv with MSG_OOB.
func (t *tcp) recvUrgent(c *conn, m *socket.Message) (int, error) {
	switch {
	case c != nil:
		return c.in.TakeUrgent(m)
	case t.listens():
		return 0, unix.ENOTCONN
	}
	return 0, unix.EINVAL
}

// AtMark implements socket.Marker.
func (t *tcp) AtMark() (bool, error) {
	c := t.conn.Load()
	return c != nil && c.in.AtMark(), nil
}

// listens tells whether Listen was called.
func (t *tcp) listens() bool {
	t.stack.mu.Lock()
	defer t.stack.mu.Unlock()
	return t.queue != nil
}

// Shutdown implements socket.Socket.
func (t *tcp) Shutdown(how int) error {
	if how < unix.SHUT_RD || how > unix.SHUT_RDWR {
		return unix.EINVAL
	}
	listens := t.listens()
	c := t.conn.Load()
	switch {
	case listens && how != unix.SHUT_WR:
		t.stopListening()
	case listens:
	case c == nil, t.dead.Load():
		return unix.ENOTCONN
	default:
		if how != unix.SHUT_WR {
			t.readShut.Store(true)
		}
		if how != unix.SHUT_RD {
			c.out.End()
		}
	}
	t.Notify(socket.Gone)
	return nil
}

// Ready implements vfs.Poller.
func (t *tcp) Ready() (m wait.Mask) {
	if t.Failed() {
		m |= wait.Err
	}
	if t.dead.Load() {
		return m | wait.In | wait.Out | wait.RDHup | wait.Hup
	}
	c := t.conn.Load()
	if c == nil {
		return m | t.readyAlone()
	}
	readable, ended, _, _ := c.in.State()
	_, sendShut, writable, _ := c.out.State()
	ended = ended || t.readShut.Load()
	if readable || ended {
		m |= wait.In
	}
	if c.in.Urgent() {
		m |= wait.Pri
	}
	if ended {
		m |= wait.RDHup
	}
	if writable || sendShut {
		m |= wait.Out
	}
	if ended && sendShut {
		m |= wait.Hup
	}
	return m
}

// readyAlone is Ready without a connection.
func (t *tcp) readyAlone() wait.Mask {
	t.stack.mu.Lock()
	defer t.stack.mu.Unlock()
	switch {
	case t.queue != nil && len(t.queue.ready) > 0:
		return wait.In
	case t.queue != nil, t.waiting != nil:
		return 0
	}
	return wait.Out | wait.Hup
}

// SetOption implements socket.Socket.
func (t *tcp) SetOption(level, name int, value []byte) error {
	if level == levelTCP && name == unix.TCP_CONGESTION {
		if c := unix.ByteSliceToString(value); c != congestion && c != "reno" {
			return unix.ENOENT
		}
		return nil
	}
	if err := t.base.SetOption(level, name, value); err != nil {
		return err
	}
	if c := t.conn.Load(); c != nil && level == unix.SOL_SOCKET && name == unix.SO_SNDBUF {
		c.out.SetLimit(t.window(c.other))
	}
	return nil
}

// congestion is the name of the algorithm that is not needed.
const congestion = "cubic"

// Option implements socket.Socket.
func (t *tcp) Option(level, name, size int) ([]byte, error) {
	if level == levelTCP {
		switch name {
		case unix.TCP_INFO:
			return t.info(), nil
		case unix.TCP_CONGESTION:
			return append([]byte(congestion), make([]byte, 16-len(congestion))...), nil
		}
	}
	return t.Common.Option(level, name, size)
}

// States of a connection, net/tcp_states.h.
const (
	stateEstablished = 1
	stateSynSent     = 2
	stateFinWait2    = 5
	stateClose       = 7
	stateCloseWait   = 8
	stateListen      = 10
)

// state is what /proc/net/tcp and TCP_INFO tell.
func (t *tcp) state() byte {
	c := t.conn.Load()
	switch {
	case t.dead.Load(), c == nil && t.queue == nil && t.waiting == nil:
		return stateClose
	case t.queue != nil:
		return stateListen
	case t.waiting != nil:
		return stateSynSent
	}
	_, fin, _, _ := c.in.State()
	_, sent, _, _ := c.out.State()
	switch {
	case fin && sent:
		return stateClose
	case fin:
		return stateCloseWait
	case sent:
		return stateFinWait2
	}
	return stateEstablished
}

// tcpInfoSize is sizeof(struct tcp_info) up to tcpi_total_retrans, bytes.
const tcpInfoSize = 104

// Peer implements socket.Socket. A connection that is not yet there, or that
// both ends have closed, has none, though data may be left to read.
func (t *tcp) Peer() ([]byte, error) {
	t.stack.mu.Lock()
	state := t.state()
	t.stack.mu.Unlock()
	if state == stateClose || state == stateSynSent {
		return nil, unix.ENOTCONN
	}
	return t.base.Peer()
}

// info is a struct tcp_info with the state and sizes of segments.
func (t *tcp) info() []byte {
	t.stack.mu.Lock()
	defer t.stack.mu.Unlock()
	b := make([]byte, tcpInfoSize)
	b[0] = t.state()
	mss := socket.EncodeInt(t.Int(levelTCP, unix.TCP_MAXSEG))
	copy(b[16:], mss) // tcpi_snd_mss
	copy(b[20:], mss) // tcpi_rcv_mss
	return b
}

// Readable implements socket.Socket.
func (t *tcp) Readable() (int, error) {
	c := t.conn.Load()
	switch {
	case t.listens():
		return 0, unix.EINVAL
	case c == nil:
		return 0, nil
	}
	return c.in.Unread(), nil
}

// Unsent implements socket.Socket: all is acknowledged at once.
func (t *tcp) Unsent() (int, error) { return 0, nil }
