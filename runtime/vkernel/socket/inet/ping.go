package inet

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
)

// ping is an ICMP or ICMPv6 echo socket (net/ipv4/ping.c): a SOCK_DGRAM socket
// that sends echo requests and gets the answers to them. Everybody may make one, as
// container engines have it (net.ipv4.ping_group_range). Its port is the
// identifier of its requests.
type ping struct{ udp }

func newPing(s *Stack, k socket.Kind) *ping {
	p := &ping{}
	p.set(s, &s.echo, k, p)
	return p
}

// icmpHeader is the size of an echo message without its data, bytes: type,
// code, checksum, identifier, sequence number.
const icmpHeader = 8

// echoTypes are the types of messages, by domain.
var echoTypes = map[int]struct{ request, reply byte }{unix.AF_INET: {8, 0}, unix.AF_INET6: {128, 129}}

// Send implements socket.Socket. Whoever is asked is here, and answers.
func (p *ping) Send(_ *socket.Caller, m *socket.Message) (int, error) {
	size := m.Len()
	switch {
	case size > maxLength:
		return 0, unix.EMSGSIZE
	case size < icmpHeader:
		return 0, unix.EINVAL
	case m.Flags&unix.MSG_OOB != 0:
		return 0, unix.EOPNOTSUPP
	}
	b := socket.Gather(m.Data, 0, size)
	e := echoTypes[p.Domain]
	if b[0] != e.request || b[1] != 0 {
		return 0, unix.EINVAL
	}
	from, to, err := p.ask(m.Addr)
	if err != nil {
		return 0, err
	}
	if size > maxDatagram+icmpHeader {
		return 0, unix.EMSGSIZE
	}
	b[0] = e.reply
	binary.BigEndian.PutUint16(b[4:], from.Port())
	sum(b, to.Addr(), from.Addr())
	answer := &socket.Message{Data: [][]byte{b}, Control: p.control(from, ipHeader{hops: errorHops})}
	p.in.Put(answer, socket.EncodeInet(p.Domain, netip.AddrPortFrom(to.Addr(), 0)), socket.Ucred{})
	return size, nil
}

// ask is where a request comes from, with its identifier as the port, and goes to.
func (p *ping) ask(addr []byte) (from, to netip.AddrPort, err error) {
	p.stack.mu.Lock()
	defer p.stack.mu.Unlock()
	to = p.remote
	if len(addr) > 0 {
		if to, err = p.parse(addr); err != nil {
			return from, to, err
		}
	} else if !to.IsValid() {
		return from, to, unix.EDESTADDRREQ
	}
	to, src, err := p.route(to)
	if err != nil {
		return from, to, err
	}
	if err := p.autobind(p.any()); err != nil {
		return from, to, unix.EAGAIN
	}
	return netip.AddrPortFrom(src, p.local.Port()), to, nil
}

// sum sets the checksum of a message (RFC 1071), which in ICMPv6 is of the
// addresses too (RFC 4443, 2.3).
func sum(b []byte, from, to netip.Addr) {
	b[2], b[3] = 0, 0
	total := uint32(0)
	add := func(b []byte) {
		for ; len(b) > 1; b = b[2:] {
			total += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) > 0 {
			total += uint32(b[0]) << 8
		}
	}
	add(b)
	if from.Is6() {
		add(from.AsSlice())
		add(to.AsSlice())
		total += uint32(len(b)) + unix.IPPROTO_ICMPV6
	}
	for total>>16 != 0 {
		total = total&0xffff + total>>16
	}
	binary.BigEndian.PutUint16(b[2:], ^uint16(total))
}
