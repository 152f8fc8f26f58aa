package inet

import (
	"io"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Conn is a connection from outside to a server in the container, or a
// client's address that sends it datagrams. It blocks.
type Conn struct {
	socket socket.Socket
	once   sync.Once
	closed chan struct{}
}

// loopback is where published ports lead to, of the family of from.
func loopback(from netip.AddrPort, port uint16) netip.AddrPort {
	if from.Addr().Unmap().Is4() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	}
	return netip.AddrPortFrom(netip.IPv6Loopback(), port)
}

// kindOf is a socket of the family of from.
func kindOf(from netip.AddrPort, typ int) socket.Kind {
	if from.Addr().Unmap().Is4() {
		return socket.Kind{Domain: unix.AF_INET, Type: typ}
	}
	return socket.Kind{Domain: unix.AF_INET6, Type: typ}
}

// Dial connects the client from, which the server sees as its peer, to a TCP
// port of the container. ECONNREFUSED if nobody listens.
func (s *Stack) Dial(from netip.AddrPort, port uint16) (*Conn, error) {
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	t := newTCP(s, kindOf(from, unix.SOCK_STREAM))
	t.local = from
	s.mu.Lock()
	l, err := t.syn(loopback(from, port))
	if err != nil && from.Addr().Is6() { // a server for IPv4 alone
		l, err = t.syn(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port))
	}
	s.mu.Unlock()
	if err != nil {
		t.Release()
		return nil, err
	}
	l.Notify(wait.In)
	c := &Conn{socket: t, closed: make(chan struct{})}
	if err := c.block(wait.Out, time.Time{}, t.Connected); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// DialUDP makes from, a client outside, known to the container: datagrams
// from it go to the port, and those that are sent to it are read from the Conn.
func (s *Stack) DialUDP(from netip.AddrPort, port uint16) *Conn {
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	u := newUDP(s, kindOf(from, unix.SOCK_DGRAM))
	s.mu.Lock()
	defer s.mu.Unlock()
	u.local, u.bound = from, true // not in ports: its address is not ours
	u.remote = loopback(from, port)
	s.outside[from] = u
	return &Conn{socket: &guest{u}, closed: make(chan struct{})}
}

// guest is a client outside that sends datagrams.
type guest struct{ *udp }

// Release implements vfs.File.
func (g *guest) Release() {
	g.stack.mu.Lock()
	g.bound = false
	if g.stack.outside[g.local] == g.udp {
		delete(g.stack.outside, g.local)
	}
	g.stack.mu.Unlock()
	g.udp.Release()
}

// block waits for an operation until the deadline (zero: none) or Close.
func (c *Conn) block(mask wait.Mask, deadline time.Time, op func() error) error {
	entry, ready := wait.NewChannelEntry(mask)
	c.socket.Queue().Register(entry)
	defer c.socket.Queue().Unregister(entry)
	var timeout <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		timeout = timer.C
	}
	for {
		if err := op(); err != unix.EAGAIN {
			return err
		}
		select {
		case <-ready:
		case <-timeout:
			return os.ErrDeadlineExceeded
		case <-c.closed:
			return os.ErrClosed
		}
	}
}

// Read implements io.Reader.
func (c *Conn) Read(p []byte) (int, error) { return c.ReadBefore(p, time.Time{}) }

// ReadBefore is Read that gives up at a deadline with os.ErrDeadlineExceeded.
func (c *Conn) ReadBefore(p []byte, deadline time.Time) (n int, err error) {
	err = c.block(wait.In, deadline, func() (err error) {
		n, err = c.socket.Recv(&socket.Message{Data: [][]byte{p}})
		return err
	})
	if n == 0 && err == nil && c.socket.Base().Type == unix.SOCK_STREAM {
		err = io.EOF
	}
	return n, err
}

// Write implements io.Writer.
func (c *Conn) Write(p []byte) (done int, err error) {
	err = c.block(wait.Out, time.Time{}, func() error {
		for {
			n, err := c.socket.Send(&socket.Caller{}, &socket.Message{Data: [][]byte{p[done:]}})
			done += n
			if err != nil || done >= len(p) {
				return err
			}
			if n == 0 {
				return unix.EAGAIN
			}
		}
	})
	return done, err
}

// CloseWrite ends the direction to the server.
func (c *Conn) CloseWrite() error { return c.socket.Shutdown(unix.SHUT_WR) }

// Close ends the connection.
func (c *Conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.socket.Release()
	})
	return nil
}
