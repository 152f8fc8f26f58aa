package inet

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
)

// ipHeader is what a receiver can see of a datagram's IP header, besides
// addresses. There is no router here, so that it arrives as it was sent.
type ipHeader struct {
	hops  int // time to live, or hop limit
	class int // type of service, or traffic class
}

func hops(h *ipHeader) *int  { return &h.hops }
func class(h *ipHeader) *int { return &h.class }

// sentField is a control message that sets a field of one datagram; its
// values are within low and high, and -1 means the socket's own.
type sentField struct {
	field     func(*ipHeader) *int
	low, high int
	byteToo   bool // may be one byte instead of an int
}

// sentFields are those of ip_cmsg_send and ip6_datagram_send_ctl.
var sentFields = map[socket.OptionName]sentField{
	{Level: levelIP, Name: unix.IP_TTL}:             {hops, 1, 255, false},
	{Level: levelIP, Name: unix.IP_TOS}:             {class, 0, 255, true},
	{Level: levelIP6, Name: unix.IPV6_HOPLIMIT}:     {hops, -1, 255, false},
	{Level: levelIP6, Name: unix.IPV6_TCLASS}:       {class, -1, 255, false},
	{Level: levelIP6, Name: unix.IPV6_2292HOPLIMIT}: {hops, -1, 255, false},
}

// set changes the field to what a control message says.
func (f sentField) set(h *ipHeader, data []byte) error {
	v := 0
	switch {
	case len(data) == 4:
		v = int(int32(binary.LittleEndian.Uint32(data)))
	case f.byteToo && len(data) == 1:
		v = int(data[0])
	default:
		return unix.EINVAL
	}
	if v < f.low || v > f.high {
		return unix.EINVAL
	}
	if v >= 0 {
		*f.field(h) = v
	}
	return nil
}

// header is the IP header of a datagram to an address, with what control
// messages say of it; those of the other protocol mean nothing.
func (u *udp) header(to netip.Addr, control []socket.Cmsg) (ipHeader, error) {
	level, h := levelIP6, ipHeader{}
	if to.Is4() {
		level = levelIP
		h = ipHeader{hops: u.Int(levelIP, unix.IP_TTL), class: u.Int(levelIP, unix.IP_TOS)}
	} else {
		h = ipHeader{hops: u.Int(levelIP6, unix.IPV6_UNICAST_HOPS), class: u.Int(levelIP6, unix.IPV6_TCLASS)}
	}
	for _, c := range control {
		if f, known := sentFields[socket.OptionName{Level: c.Level, Name: c.Type}]; known && c.Level == level {
			if err := f.set(&h, c.Data); err != nil {
				return h, err
			}
		}
	}
	return h, nil
}

// arrival is what control messages tell of a datagram.
type arrival struct {
	ipHeader
	to netip.Addr
}

// receivedField is a control message that a socket gets if it has set an
// option, and if the datagram came by the option's own protocol or by either.
type receivedField struct {
	option, typ int
	level       int
	either      bool
	data        func(arrival) []byte
}

// receivedFields are in the order of the kernel's: ip6_datagram_recv_common_ctl,
// then ip_cmsg_recv or ip6_datagram_recv_specific_ctl.
var receivedFields = []receivedField{
	{unix.IPV6_RECVPKTINFO, unix.IPV6_PKTINFO, levelIP6, true, pktinfo6},
	{unix.IP_PKTINFO, unix.IP_PKTINFO, levelIP, false, func(a arrival) []byte {
		b := append(socket.EncodeInt(1), a.to.AsSlice()...)
		return append(b, a.to.AsSlice()...)
	}},
	{unix.IP_RECVTTL, unix.IP_TTL, levelIP, false, func(a arrival) []byte { return socket.EncodeInt(a.hops) }},
	{unix.IP_RECVTOS, unix.IP_TOS, levelIP, false, func(a arrival) []byte { return []byte{byte(a.class)} }},
	{unix.IPV6_RECVHOPLIMIT, unix.IPV6_HOPLIMIT, levelIP6, false, func(a arrival) []byte { return socket.EncodeInt(a.hops) }},
	{unix.IPV6_RECVTCLASS, unix.IPV6_TCLASS, levelIP6, false, func(a arrival) []byte { return socket.EncodeInt(a.class) }},
	{unix.IPV6_2292PKTINFO, unix.IPV6_2292PKTINFO, levelIP6, false, pktinfo6},
	{unix.IPV6_2292HOPLIMIT, unix.IPV6_2292HOPLIMIT, levelIP6, false, func(a arrival) []byte { return socket.EncodeInt(a.hops) }},
}

// pktinfo6 is a struct in6_pktinfo.
func pktinfo6(a arrival) []byte {
	b := a.to.As16()
	return binary.LittleEndian.AppendUint32(b[:], 1) // the index of lo
}

// control is the ancillary data that a receiver asked for.
func (u *udp) control(from netip.AddrPort, h ipHeader) (c socket.Control) {
	u.stack.mu.Lock()
	a := arrival{h, u.local.Addr()}
	u.stack.mu.Unlock()
	if a.to.IsUnspecified() {
		a.to = from.Addr() // all addresses are those of lo
	}
	came := levelIP6
	if a.to.Is4() {
		came = levelIP
	}
	for _, f := range receivedFields {
		if (f.level == came || f.either && u.Domain == unix.AF_INET6) && u.Int(f.level, f.option) != 0 {
			c.Other = append(c.Other, socket.Cmsg{Level: f.level, Type: f.typ, Data: f.data(a)})
		}
	}
	return c
}
