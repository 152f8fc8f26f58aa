package netlink

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
)

// Lengths of the headers behind struct nlmsghdr.
const (
	ifInfoSize = 16 // struct ifinfomsg
	routeSize  = 12 // struct rtmsg
	ruleSize   = 12 // struct fib_rule_hdr
)

// query is a request for something of the network.
type query struct {
	family int
	index  int        // of the interface asked for, 0 for all
	name   string     // likewise
	dst    netip.Addr // of the route asked for
}

// newQuery reads what follows the header of a request.
func newQuery(typ int, body []byte) (q query) {
	if len(body) == 0 {
		return q
	}
	q.family = int(body[0])
	switch {
	case typ == unix.RTM_GETLINK && len(body) >= ifInfoSize:
		q.index = int(int32(binary.LittleEndian.Uint32(body[4:])))
		attrs := parse(body[ifInfoSize:])
		if name := attrs[unix.IFLA_IFNAME]; name != nil {
			q.name = unix.ByteSliceToString(name)
		} else {
			q.name = unix.ByteSliceToString(attrs[unix.IFLA_ALT_IFNAME])
		}
	case typ == unix.RTM_GETROUTE && len(body) >= routeSize:
		q.dst, _ = netip.AddrFromSlice(parse(body[routeSize:])[unix.RTA_DST])
	}
	return q
}

// parse reads attributes, by type.
func parse(b []byte) map[int][]byte {
	le := binary.LittleEndian
	attrs := map[int][]byte{}
	for len(b) >= 4 {
		n := int(le.Uint16(b))
		if n < 4 || n > len(b) {
			break
		}
		attrs[int(le.Uint16(b[2:]))] = b[4:n]
		b = b[min(len(b), align(n)):]
	}
	return attrs
}

// topic is what can be asked about.
type topic struct {
	// dump makes the messages that tell all.
	dump func(q query, list []socket.Interface) [][]byte
	// get makes the one asked for; nil where there can be none.
	get func(q query, list []socket.Interface) ([]byte, error)
}

func nothing(query, []socket.Interface) [][]byte { return nil }

// topics are by RTM_GET….
var topics = map[int]topic{
	unix.RTM_GETLINK:  {links, link},
	unix.RTM_GETADDR:  {addrs, nil},
	unix.RTM_GETROUTE: {nothing, route},
	unix.RTM_GETRULE:  {rules, nil},
	unix.RTM_GETNEIGH: {nothing, nil},
}

// answerRoute answers a request of NETLINK_ROUTE.
func (s *sock) answerRoute(r request) {
	about, known := topics[r.typ]
	switch {
	case r.typ < unix.RTM_BASE: // NLMSG_NOOP and such
		s.acknowledge(r)
	case !known && r.typ%4 != 2: // all but RTM_GET…
		s.fail(r, unix.EPERM)
	case !known:
		s.fail(r, unix.EOPNOTSUPP)
	case r.flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP:
		for _, body := range about.dump(newQuery(r.typ, r.body()), s.interfaces()) {
			s.reply(r, r.typ-2, unix.NLM_F_MULTI, body) // RTM_NEW… is two below RTM_GET…
		}
		s.reply(r, unix.NLMSG_DONE, unix.NLM_F_MULTI, binary.LittleEndian.AppendUint32(nil, 0))
	case about.get == nil:
		s.fail(r, unix.EOPNOTSUPP)
	default:
		body, err := about.get(newQuery(r.typ, r.body()), s.interfaces())
		if err != nil {
			s.fail(r, err.(unix.Errno))
			return
		}
		s.reply(r, r.typ-2, 0, body)
		s.acknowledge(r)
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

// Sizes of counters, none of which are kept: struct rtnl_link_stats64 and
// rtnl_link_stats.
const (
	stats64Size = 25 * 8
	statsSize   = 24 * 4
)

// links are RTM_NEWLINK messages.
func links(_ query, list []socket.Interface) (out [][]byte) {
	for _, i := range list {
		out = append(out, newLink(i))
	}
	return out
}

// link is the one of an index or a name.
func link(q query, list []socket.Interface) ([]byte, error) {
	if q.index == 0 && q.name == "" {
		return nil, unix.EINVAL
	}
	for _, i := range list {
		if q.index == i.Index || q.index == 0 && q.name == i.Name {
			return newLink(i), nil
		}
	}
	return nil, unix.ENODEV
}

// newLink is struct ifinfomsg and attributes.
func newLink(i socket.Interface) []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(nil, unix.AF_UNSPEC)
	b = le.AppendUint16(b, uint16(i.Type()))
	b = le.AppendUint32(b, uint32(i.Index))
	b = le.AppendUint32(b, uint32(i.Flags))
	b = le.AppendUint32(b, 0)
	state, carrier := byte(operUp), byte(1)
	if i.Flags&unix.IFF_LOOPBACK != 0 {
		state = operUnknown
	}
	if i.Flags&unix.IFF_LOWER_UP == 0 {
		carrier = 0
	}
	b = attr(b, unix.IFLA_IFNAME, text(i.Name))
	b = attr(b, unix.IFLA_TXQLEN, socket.EncodeInt(1000))
	b = attr(b, unix.IFLA_OPERSTATE, []byte{state})
	b = attr(b, unix.IFLA_LINKMODE, []byte{0})
	b = attr(b, unix.IFLA_MTU, socket.EncodeInt(i.MTU))
	b = attr(b, unix.IFLA_GROUP, socket.EncodeInt(0))
	b = attr(b, unix.IFLA_PROMISCUITY, socket.EncodeInt(0))
	b = attr(b, unix.IFLA_NUM_TX_QUEUES, socket.EncodeInt(1))
	b = attr(b, unix.IFLA_NUM_RX_QUEUES, socket.EncodeInt(1))
	b = attr(b, unix.IFLA_CARRIER, []byte{carrier})
	b = attr(b, unix.IFLA_QDISC, text("noqueue"))
	b = attr(b, unix.IFLA_ADDRESS, i.Hardware)
	b = attr(b, unix.IFLA_BROADCAST, broadcast(i))
	b = attr(b, unix.IFLA_STATS64, make([]byte, stats64Size))
	return attr(b, unix.IFLA_STATS, make([]byte, statsSize))
}

// broadcast is the hardware's broadcast address.
func broadcast(i socket.Interface) []byte {
	if i.Flags&unix.IFF_BROADCAST == 0 {
		return make([]byte, len(i.Hardware))
	}
	return bytes.Repeat([]byte{0xff}, len(i.Hardware))
}

// permanent is IFA_F_PERMANENT, forever a lifetime without an end.
const (
	permanent = 0x80
	forever   = 1<<32 - 1 // INFINITY_LIFE_TIME, seconds
)

// lifetimes is struct ifa_cacheinfo: preferred and valid for ever, and when that was
// said and changed.
var lifetimes = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, forever<<32|forever), 0)

// addrs are RTM_NEWADDR messages: struct ifaddrmsg and attributes.
func addrs(q query, list []socket.Interface) (out [][]byte) {
	for _, i := range list {
		for _, p := range i.Addrs {
			family := familyOf(p.Addr())
			if q.family != unix.AF_UNSPEC && q.family != int(family) {
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
			b = attr(b, unix.IFA_FLAGS, socket.EncodeInt(permanent))
			out = append(out, attr(b, unix.IFA_CACHEINFO, lifetimes))
		}
	}
	return out
}

func familyOf(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// route is the RTM_NEWROUTE message of the way to an address, struct rtmsg and
// attributes: to the network's own addresses only.
func route(q query, list []socket.Interface) ([]byte, error) {
	if !q.dst.IsValid() || int(familyOf(q.dst)) != q.family {
		return nil, unix.EINVAL
	}
	lo, source, ok := local(q.dst, list)
	if !ok {
		return nil, unix.ENETUNREACH
	}
	// Of IPv4 the table of local addresses is part of the main one until rules say otherwise.
	flags, table, by := uint32(unix.RTM_F_CLONED|routeLocal), unix.RT_TABLE_MAIN, byte(unix.RTPROT_UNSPEC)
	if q.family == unix.AF_INET6 {
		flags, table, by = 0, unix.RT_TABLE_LOCAL, unix.RTPROT_KERNEL
	}
	b := []byte{byte(q.family), byte(q.dst.BitLen()), 0, 0, byte(table), by, unix.RT_SCOPE_UNIVERSE, unix.RTN_LOCAL}
	b = binary.LittleEndian.AppendUint32(b, flags)
	b = attr(b, unix.RTA_TABLE, socket.EncodeInt(table))
	b = attr(b, unix.RTA_DST, q.dst.AsSlice())
	b = attr(b, unix.RTA_OIF, socket.EncodeInt(lo))
	return attr(b, unix.RTA_PREFSRC, source.AsSlice()), nil
}

// routeLocal is RTCF_LOCAL, linux/in_route.h.
const routeLocal = 0x80000000

// local finds who has an address, or all addresses around it as lo has: the index of
// lo, by which such packets go, and the address that they come from.
func local(dst netip.Addr, list []socket.Interface) (lo int, source netip.Addr, ok bool) {
	for _, i := range list {
		if i.Flags&unix.IFF_LOOPBACK != 0 {
			lo = i.Index
		}
		for _, p := range i.Addrs {
			if p.Addr() == dst || i.Flags&unix.IFF_LOOPBACK != 0 && p.Contains(dst) {
				source, ok = p.Addr(), true
			}
		}
	}
	return lo, source, ok
}

// Attributes of a rule, uapi/linux/fib_rules.h.
const (
	fraPriority       = 6
	fraSuppressPrefix = 14
	fraTable          = 15
	toTable           = 1 // FR_ACT_TO_TBL
)

// tables are the rules of a network that nobody has changed: which routing table is
// looked into, and in what order. IPv6 has no default table.
var tables = []struct{ priority, table int }{{0, unix.RT_TABLE_LOCAL}, {32766, unix.RT_TABLE_MAIN}, {32767, unix.RT_TABLE_DEFAULT}}

// rules are RTM_NEWRULE messages: struct fib_rule_hdr and attributes.
func rules(q query, _ []socket.Interface) (out [][]byte) {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		if q.family != unix.AF_UNSPEC && q.family != family {
			continue
		}
		for _, t := range tables {
			if family == unix.AF_INET6 && t.table == unix.RT_TABLE_DEFAULT {
				continue
			}
			b := make([]byte, ruleSize)
			b[0], b[4], b[7] = byte(family), byte(t.table), toTable
			b = attr(b, fraTable, socket.EncodeInt(t.table))
			b = attr(b, fraSuppressPrefix, socket.EncodeInt(-1))
			if t.priority != 0 {
				b = attr(b, fraPriority, socket.EncodeInt(t.priority))
			}
			out = append(out, b)
		}
	}
	return out
}
