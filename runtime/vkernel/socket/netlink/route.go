package netlink

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
)

// headerSize is sizeof(struct nlmsghdr): length, type, flags, sequence
// number, port.
const headerSize = 16

func align(n int) int { return (n + 3) &^ 3 }

// request is one that can be answered.
type request struct {
	typ, family int
	index       int // of the interface asked for, 0 for all
}

// dumps are the messages that answer a request.
var dumps = map[int]func(r request, list []socket.Interface) [][]byte{
	unix.RTM_GETLINK:  links,
	unix.RTM_GETADDR:  addrs,
	unix.RTM_GETROUTE: func(request, []socket.Interface) [][]byte { return nil },
	unix.RTM_GETRULE:  func(request, []socket.Interface) [][]byte { return nil },
	unix.RTM_GETNEIGH: func(request, []socket.Interface) [][]byte { return nil },
}

// answer puts the answers to a request into the socket's queue.
func (s *sock) answer(req []byte) {
	le := binary.LittleEndian
	flags, seq := int(le.Uint16(req[6:])), le.Uint32(req[8:])
	reply := func(typ, flags int, body []byte) {
		b := le.AppendUint32(nil, uint32(headerSize+len(body)))
		b = le.AppendUint16(b, uint16(typ))
		b = le.AppendUint16(b, uint16(flags))
		b = le.AppendUint32(b, seq)
		b = append(le.AppendUint32(b, s.port.Load()), body...)
		s.in.Put(&socket.Message{Data: [][]byte{b}}, address(0), socket.Ucred{})
	}
	fail := func(e unix.Errno) {
		reply(unix.NLMSG_ERROR, 0, append(le.AppendUint32(nil, uint32(-int32(e))), req...))
	}
	r := request{typ: int(le.Uint16(req[4:]))}
	if body := req[headerSize:]; len(body) > 0 {
		r.family = int(body[0])
		if r.typ == unix.RTM_GETLINK && len(body) >= 8 {
			r.index = int(int32(le.Uint32(body[4:])))
		}
	}
	dump, known := dumps[r.typ]
	switch {
	case r.typ < unix.RTM_BASE: // NLMSG_NOOP and such
	case !known && r.typ%4 != 2: // all but RTM_GET…
		fail(unix.EPERM)
	case !known:
		fail(unix.EOPNOTSUPP)
	case flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP:
		r.index = 0
		for _, body := range dump(r, s.interfaces()) {
			reply(r.typ-2, unix.NLM_F_MULTI, body) // RTM_NEW… is two below RTM_GET…
		}
		reply(unix.NLMSG_DONE, unix.NLM_F_MULTI, le.AppendUint32(nil, 0))
	default:
		list := dump(r, s.interfaces())
		if r.index == 0 || len(list) == 0 {
			fail(unix.ENODEV)
			return
		}
		reply(r.typ-2, 0, list[0])
	}
}

// attr appends a struct rtattr with its value.
func attr(b []byte, typ int, value []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(4+len(value)))
	b = binary.LittleEndian.AppendUint16(b, uint16(typ))
	b = append(b, value...)
	return append(b, make([]byte, align(len(value))-len(value))...)
}

func text(s string) []byte { return append([]byte(s), 0) }

// operUp is IF_OPER_UP, operUnknown what lo has.
const (
	operUnknown = 0
	operUp      = 6
)

// links are RTM_NEWLINK messages: struct ifinfomsg and attributes.
func links(r request, list []socket.Interface) (out [][]byte) {
	le := binary.LittleEndian
	for _, i := range list {
		if r.index != 0 && r.index != i.Index {
			continue
		}
		b := le.AppendUint16(nil, unix.AF_UNSPEC)
		b = le.AppendUint16(b, uint16(i.Type()))
		b = le.AppendUint32(b, uint32(i.Index))
		b = le.AppendUint32(b, uint32(i.Flags))
		b = le.AppendUint32(b, 0)
		b = attr(b, unix.IFLA_IFNAME, text(i.Name))
		b = attr(b, unix.IFLA_TXQLEN, socket.EncodeInt(1000))
		state := byte(operUp)
		if i.Flags&unix.IFF_LOOPBACK != 0 {
			state = operUnknown
		}
		b = attr(b, unix.IFLA_OPERSTATE, []byte{state})
		b = attr(b, unix.IFLA_MTU, socket.EncodeInt(i.MTU))
		b = attr(b, unix.IFLA_QDISC, text("noqueue"))
		b = attr(b, unix.IFLA_ADDRESS, i.Hardware)
		broadcast := make([]byte, len(i.Hardware))
		if i.Flags&unix.IFF_BROADCAST != 0 {
			for k := range broadcast {
				broadcast[k] = 0xff
			}
		}
		out = append(out, attr(b, unix.IFLA_BROADCAST, broadcast))
	}
	return out
}

// permanent is IFA_F_PERMANENT.
const permanent = 0x80

// addrs are RTM_NEWADDR messages: struct ifaddrmsg and attributes.
func addrs(r request, list []socket.Interface) (out [][]byte) {
	for _, i := range list {
		for _, p := range i.Addrs {
			family := byte(unix.AF_INET6)
			if p.Addr().Is4() {
				family = unix.AF_INET
			}
			if r.family != unix.AF_UNSPEC && r.family != int(family) {
				continue
			}
			scope := byte(unix.RT_SCOPE_UNIVERSE)
			switch {
			case p.Addr().IsLoopback():
				scope = unix.RT_SCOPE_HOST
			case p.Addr().IsLinkLocalUnicast():
				scope = unix.RT_SCOPE_LINK
			}
			b := []byte{family, byte(p.Bits()), permanent, scope}
			b = binary.LittleEndian.AppendUint32(b, uint32(i.Index))
			b = attr(b, unix.IFA_ADDRESS, p.Addr().AsSlice())
			if family == unix.AF_INET {
				b = attr(b, unix.IFA_LOCAL, p.Addr().AsSlice())
				b = attr(b, unix.IFA_LABEL, text(i.Name))
			}
			out = append(out, attr(b, unix.IFA_FLAGS, socket.EncodeInt(permanent)))
		}
	}
	return out
}
