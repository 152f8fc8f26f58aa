package inet

import (
	"encoding/binary"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// unreachable is the ICMP error of a datagram to a port where nobody is. The
// host that sends it quotes as much of the datagram as its packets may be long
// (RFC 1812, 576 bytes; RFC 4443, 1280), without all headers.
type unreachable struct {
	level, option     int // of the sockets that are told though they have no peer
	origin, typ, code byte
	class             int // type of service of the error itself
	quoted            int // bytes of the datagram's data
}

var (
	unreachable4 = unreachable{levelIP, unix.IP_RECVERR, unix.SO_EE_ORIGIN_ICMP, 3, 3, 0xc0, 576 - 20 - 8 - 20 - 8}
	unreachable6 = unreachable{levelIP6, unix.IPV6_RECVERR, unix.SO_EE_ORIGIN_ICMP6, 1, 4, 0, 1280 - 40 - 8 - 40 - 8}
)

// errorHops is the time to live of an ICMP error.
const errorHops = 64

// errors are a socket's error queue (IP_RECVERR in ip(7)).
type errors struct {
	mu   sync.Mutex
	list []failure
	size int // what they count against the receive buffer, bytes
}

// failure is one error: what a read of the queue gives.
type failure struct {
	socket.Message
	icmp bool // another host's: it is the socket's pending error too
}

// errorCost is what an error counts besides its data, bytes.
const errorCost = 768

func (e *errors) empty() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.list) == 0
}

func (e *errors) put(f failure, limit int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if cost := errorCost + f.Len(); e.size+cost < limit {
		e.size += cost
		e.list = append(e.list, f)
	}
}

// take gives the first error, and tells whether the next one is another host's.
func (e *errors) take() (f failure, nextICMP, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.list) == 0 {
		return f, false, false
	}
	f = e.list[0]
	e.list = e.list[1:]
	e.size -= errorCost + f.Len()
	return f, len(e.list) > 0 && e.list[0].icmp, true
}

func (e *errors) purge() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list, e.size = nil, 0
}

// unanswered is told that nobody was at dst, where a datagram with data went. A
// connected socket gets no error of what it sent elsewhere.
func (u *udp) unanswered(dst netip.AddrPort, data [][]byte) {
	e := &unreachable6
	if dst.Addr().Is4() {
		e = &unreachable4
	}
	u.stack.mu.Lock()
	peer := u.remote
	u.stack.mu.Unlock()
	wanted := u.Int(e.level, e.option) != 0
	if peer.IsValid() && peer != dst || !peer.IsValid() && !wanted {
		return
	}
	if wanted {
		u.errors.put(failure{u.report(e, dst, data), true}, u.Int(unix.SOL_SOCKET, unix.SO_RCVBUF))
	}
	u.Fail(unix.ECONNREFUSED)
}

// report is an error as MSG_ERRQUEUE shows it: the datagram's data, where it
// went, and what extended tells.
func (u *udp) report(e *unreachable, dst netip.AddrPort, data [][]byte) socket.Message {
	offender := netip.AddrPortFrom(dst.Addr(), 0)
	c := u.control(offender, ipHeader{errorHops, e.class})
	own := u.extended(extended{errno: unix.ECONNREFUSED, origin: e.origin, typ: e.typ, code: e.code}, socket.EncodeInet(u.Domain, offender))
	c.Other = append(c.Other, own)
	return socket.Message{Data: [][]byte{socket.Gather(data, 0, e.quoted)}, Addr: socket.EncodeInet(u.Domain, dst), Control: c}
}

// tooLong is told that a datagram to dst has no room in a packet: an error
// with the largest packet's size and without an offender.
func (u *udp) tooLong(dst netip.AddrPort) {
	level, option, mtu := levelIP6, unix.IPV6_RECVERR, uint32(loopbackMTU)
	if dst.Addr().Is4() {
		level, option, mtu = levelIP, unix.IP_RECVERR, loopbackMTU-1
		u.stack.mu.Lock()
		dst = netip.AddrPortFrom(dst.Addr(), u.remote.Port())
		u.stack.mu.Unlock()
	}
	if u.Int(level, option) == 0 {
		return
	}
	nobody := make([]byte, len(socket.EncodeInet(u.Domain, dst)))
	c := socket.Control{Other: []socket.Cmsg{u.extended(extended{errno: unix.EMSGSIZE, origin: unix.SO_EE_ORIGIN_LOCAL, info: mtu}, nobody)}}
	m := socket.Message{Data: [][]byte{{}}, Addr: socket.EncodeInet(u.Domain, dst), Control: c}
	u.errors.put(failure{m, false}, u.Int(unix.SOL_SOCKET, unix.SO_RCVBUF))
	u.Notify(wait.Err)
}

// extended is struct sock_extended_err.
type extended struct {
	errno             unix.Errno
	origin, typ, code byte
	info              uint32
}

// extended is the control message of an error, with the address of who sent
// it.
func (u *udp) extended(e extended, offender []byte) socket.Cmsg {
	b := binary.LittleEndian.AppendUint32(nil, uint32(e.errno))
	b = append(b, e.origin, e.typ, e.code, 0)
	b = binary.LittleEndian.AppendUint32(b, e.info)
	b = append(append(b, make([]byte, 4)...), offender...)
	if u.Domain == unix.AF_INET6 {
		return socket.Cmsg{Level: levelIP6, Type: unix.IPV6_RECVERR, Data: b}
	}
	return socket.Cmsg{Level: levelIP, Type: unix.IP_RECVERR, Data: b}
}

// recvError is Recv with MSG_ERRQUEUE.
func (u *udp) recvError(m *socket.Message) (int, error) {
	e, nextICMP, ok := u.errors.take()
	if !ok {
		return 0, unix.EAGAIN
	}
	switch {
	case nextICMP:
		u.Fail(unix.ECONNREFUSED)
	case e.icmp:
		u.TakeError()
	}
	m.Addr, m.Control, m.Flags = e.Addr, e.Control, unix.MSG_ERRQUEUE
	rest := e.Data[0]
	n := socket.Scatter(m.Data, 0, rest)
	if n < len(rest) {
		m.Flags |= unix.MSG_TRUNC
	}
	return n, nil
}

// failed is what poll reports of errors.
func (u *udp) failed() wait.Mask {
	if u.Failed() || !u.errors.empty() {
		return wait.Err
	}
	return 0
}
