package inet

import (
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// udp is a SOCK_DGRAM socket: of UDP, or of UDP-Lite, which says of how much of
// a datagram errors matter (there are none here).
type udp struct {
	base
	socket.Unsupported
	in                 socket.Half
	errors             errors
	sendShut, readShut atomic.Bool
}

func newUDP(s *Stack, k socket.Kind) *udp {
	u := &udp{}
	ports := &s.udp
	if k.Protocol == unix.IPPROTO_UDPLITE {
		ports = &s.lite
	}
	u.set(s, ports, k, u)
	return u
}

// set makes u a new socket of a stack; owner is what u is a part of.
func (u *udp) set(s *Stack, ports *ports, k socket.Kind, owner socket.Socket) {
	u.stack, u.ports, u.owner = s, ports, owner
	u.Init(k, tables(k)...)
	u.local = netip.AddrPortFrom(u.any(), 0)
	u.in = socket.Half{Reader: &u.Common}
	u.in.SetLimit(socket.DefaultBuffer)
	s.keep(&u.base)
}

// Release implements vfs.File.
func (u *udp) Release() {
	u.stack.drop(&u.base)
	u.stack.mu.Lock()
	u.ports.release(&u.base)
	u.stack.mu.Unlock()
	u.in.Drop()
}

// Connect implements socket.Socket: it sets the peer, or takes it away.
func (u *udp) Connect(_ *socket.Caller, addr []byte) error {
	u.stack.mu.Lock()
	defer u.stack.mu.Unlock()
	if socket.Domain(addr) == unix.AF_UNSPEC && len(addr) >= 2 {
		u.forget()
		return nil
	}
	to, err := u.parse(addr)
	if err != nil {
		return err
	}
	dst, src, err := u.route(to)
	if err != nil {
		return err
	}
	if err := u.autobind(src); err != nil {
		return unix.EAGAIN
	}
	u.local, u.remote = netip.AddrPortFrom(src, u.local.Port()), dst
	return nil
}

// The most that fits into a packet of either protocol, and into lo's largest
// packet where IPv6 may make no fragments, bytes.
const (
	maxDatagram      = 65507
	maxDatagram6     = 65527
	maxWholeDatagram = loopbackMTU - 40 - 8
	loopbackMTU      = 65536
	maxLength        = 65535 // of anything in UDP over IPv4
)

// longest is the most that u may send to dst.
func (u *udp) longest(dst netip.Addr) int {
	switch how := u.Int(levelIP6, unix.IPV6_MTU_DISCOVER); {
	case dst.Is4():
		return maxDatagram
	case how >= unix.IPV6_PMTUDISC_DO && how != unix.IPV6_PMTUDISC_OMIT:
		return maxWholeDatagram
	}
	return maxDatagram6
}

// Send implements socket.Socket.
func (u *udp) Send(_ *socket.Caller, m *socket.Message) (int, error) {
	size := m.Len()
	switch {
	case m.Flags&unix.MSG_OOB != 0:
		return 0, unix.EOPNOTSUPP
	case size > maxLength && u.Domain == unix.AF_INET:
		return 0, unix.EMSGSIZE
	}
	if err := u.TakeError(); err != nil {
		return 0, err
	}
	if u.sendShut.Load() {
		return 0, unix.EPIPE
	}
	to, from, dst, err := u.target(m.Addr)
	if err != nil {
		return 0, err
	}
	if size > u.longest(dst.Addr()) {
		u.tooLong(dst)
		return 0, unix.EMSGSIZE
	}
	h, err := u.header(from.Addr(), m.Control.Other)
	if err != nil {
		return 0, err
	}
	if to == nil {
		u.unanswered(dst, m.Data)
		return size, nil
	}
	m.Control = to.control(from, h)
	to.in.Put(m, socket.EncodeInet(to.Domain, from), socket.Ucred{}) // what has no room is lost
	return size, nil
}

// target is the socket that gets a datagram, nil if there is none, and where
// the datagram comes from and goes to.
func (u *udp) target(addr []byte) (to *udp, from, dst netip.AddrPort, err error) {
	u.stack.mu.Lock()
	defer u.stack.mu.Unlock()
	dst = u.remote
	if len(addr) > 0 {
		if dst, err = u.parse(addr); err != nil {
			return nil, from, dst, err
		}
		if dst.Port() == 0 {
			return nil, from, dst, unix.EINVAL
		}
	} else if !dst.IsValid() {
		return nil, from, dst, unix.EDESTADDRREQ
	}
	dst, src, err := u.route(dst)
	if err != nil {
		return nil, from, dst, err
	}
	if err := u.autobind(u.any()); err != nil {
		return nil, from, dst, unix.EAGAIN
	}
	from = netip.AddrPortFrom(src, u.local.Port())
	if to := u.stack.outside[dst]; to != nil {
		return to, from, dst, nil
	}
	b := u.stack.find(u.ports, from, dst, func(*base) bool { return true })
	if b == nil {
		return nil, from, dst, nil
	}
	return b.owner.(*udp), from, dst, nil
}

// Recv implements socket.Socket.
func (u *udp) Recv(m *socket.Message) (int, error) {
	if m.Flags&unix.MSG_ERRQUEUE != 0 {
		return u.recvError(m)
	}
	if err := u.TakeError(); err != nil {
		return 0, err
	}
	n, err := u.in.Take(m, false)
	m.Control.Creds = nil
	if err == unix.EAGAIN && u.readShut.Load() {
		return 0, nil
	}
	return n, err
}

// Shutdown implements socket.Socket.
func (u *udp) Shutdown(how int) error {
	if how < unix.SHUT_RD || how > unix.SHUT_RDWR {
		return unix.EINVAL
	}
	u.stack.mu.Lock()
	connected := u.remote.IsValid()
	u.stack.mu.Unlock()
	if !connected {
		return unix.ENOTCONN
	}
	if how != unix.SHUT_WR {
		u.readShut.Store(true)
	}
	if how != unix.SHUT_RD {
		u.sendShut.Store(true)
	}
	u.Notify(socket.Gone)
	return nil
}

// Ready implements vfs.Poller.
func (u *udp) Ready() wait.Mask {
	m := wait.Out | u.failed()
	if readable, _, _, _ := u.in.State(); readable {
		m |= wait.In
	}
	if u.readShut.Load() {
		m |= socket.AtEnd
		if u.sendShut.Load() {
			m |= wait.Hup
		}
	}
	return m
}

// SetOption implements socket.Socket.
func (u *udp) SetOption(level, name int, value []byte) error {
	if err := u.base.SetOption(level, name, value); err != nil {
		return err
	}
	switch (socket.OptionName{Level: level, Name: name}) {
	case socket.OptionName{Level: unix.SOL_SOCKET, Name: unix.SO_RCVBUF}:
		u.in.SetLimit(u.Int(level, name))
	case socket.OptionName{Level: levelIP, Name: unix.IP_RECVERR}, socket.OptionName{Level: levelIP6, Name: unix.IPV6_RECVERR}:
		if u.Int(level, name) == 0 {
			u.errors.purge()
		}
	}
	return nil
}

// Readable implements socket.Socket: the size of the next datagram.
func (u *udp) Readable() (int, error) { return u.in.First(), nil }
