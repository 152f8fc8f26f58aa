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
	list []socket.Message
	size int // what they count against the receive buffer, bytes
}

// errorCost is what an error counts besides its data, bytes.
const errorCost = 768

func (e *errors) empty() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.list) == 0
}

func (e *errors) put(m socket.Message, limit int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if cost := errorCost + m.Len(); e.size+cost < limit {
		e.size += cost
		e.list = append(e.list, m)
	}
}

// take gives the first error, and tells whether there are more.
func (e *errors) take() (m socket.Message, more, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.list) == 0 {
		return m, false, false
	}
	m = e.list[0]
	e.list = e.list[1:]
	e.size -= errorCost + m.Len()
	return m, len(e.list) > 0, true
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
		u.errors.put(u.report(e, dst, data), u.Int(unix.SOL_SOCKET, unix.SO_RCVBUF))
	}
	u.Fail(unix.ECONNREFUSED)
}

// report is an error as MSG_ERRQUEUE shows it: the datagram's data, where it
// went, and a struct sock_extended_err with the address of who sent the error.
func (u *udp) report(e *unreachable, dst netip.AddrPort, data [][]byte) socket.Message {
	var quoted []byte
	for _, b := range data {
		quoted = append(quoted, b[:min(len(b), e.quoted-len(quoted))]...)
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(unix.ECONNREFUSED))
	b = append(b, e.origin, e.typ, e.code, 0)
	b = append(b, make([]byte, 8)...) // ee_info, ee_data
	b = append(b, socket.EncodeInet(u.Domain, netip.AddrPortFrom(dst.Addr(), 0))...)
	c := u.control(netip.AddrPortFrom(dst.Addr(), 0), ipHeader{errorHops, e.class})
	own := socket.Cmsg{Level: levelIP, Type: unix.IP_RECVERR, Data: b}
	if u.Domain == unix.AF_INET6 {
		own.Level, own.Type = levelIP6, unix.IPV6_RECVERR
	}
	c.Other = append(c.Other, own)
	return socket.Message{Data: [][]byte{quoted}, Addr: socket.EncodeInet(u.Domain, dst), Control: c}
}

// recvError is Recv with MSG_ERRQUEUE.
func (u *udp) recvError(m *socket.Message) (int, error) {
	e, more, ok := u.errors.take()
	if !ok {
		return 0, unix.EAGAIN
	}
	if more {
		u.Fail(unix.ECONNREFUSED)
	} else {
		u.TakeError()
	}
	m.Addr, m.Control, m.Flags = e.Addr, e.Control, unix.MSG_ERRQUEUE
	rest := e.Data[0]
	n := 0
	for _, b := range m.Data {
		n += copy(b, rest[n:])
	}
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
