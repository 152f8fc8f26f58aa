// Package inet is TCP, UDP, UDP-Lite and ICMP echo sockets, over IPv4 and IPv6, inside one container: its
// only addresses are those of the loopback interface, so a connection is two
// queues and a datagram is put into the receiver's. Nothing is ever lost,
// reordered or sent twice; what programs can see of the protocols (states,
// resets, time of errors) is as on Linux. The runner can connect from outside
// with Stack.Dial. The package knows nothing of tasks.
//
// Lock order: Stack.mu, Stack.allMu, then those of package socket.
package inet

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
)

// Stack is a container's addresses and ports.
type Stack struct {
	// mu guards names and states of all its sockets.
	mu       sync.Mutex
	tcp, udp ports
	lite     ports // UDP-Lite's
	echo     ports // identifiers of ping sockets
	turn     uint  // counts what is shared out among SO_REUSEPORT sockets
	// outside are clients of published ports: addresses that are not ours.
	outside map[netip.AddrPort]*udp

	allMu      sync.Mutex
	all        map[uint64]*base
	lastNumber uint64
}

// NewStack makes a stack without sockets.
func NewStack() *Stack {
	return &Stack{tcp: newPorts(), udp: newPorts(), lite: newPorts(), echo: newPorts(), outside: map[netip.AddrPort]*udp{}, all: map[uint64]*base{}}
}

// Family is AF_INET or AF_INET6 of the stack.
func (s *Stack) Family() socket.Family { return family{s} }

type family struct{ stack *Stack }

// protocols are those that a type of socket may have; the first is its default.
var protocols = map[int][]int{
	unix.SOCK_STREAM: {unix.IPPROTO_TCP},
	unix.SOCK_DGRAM:  {unix.IPPROTO_UDP, unix.IPPROTO_UDPLITE},
}

// echoProtocol is that of a domain's ping sockets.
var echoProtocol = map[int]int{unix.AF_INET: unix.IPPROTO_ICMP, unix.AF_INET6: unix.IPPROTO_ICMPV6}

// New implements socket.Family.
func (f family) New(k socket.Kind) (socket.Socket, error) {
	if k.Type == unix.SOCK_RAW {
		return nil, unix.EPERM
	}
	own := protocols[k.Type]
	switch {
	case k.Type == unix.SOCK_DGRAM && k.Protocol == echoProtocol[k.Domain]:
		return newPing(f.stack, k), nil
	case own == nil:
		return nil, unix.ESOCKTNOSUPPORT
	case k.Protocol == 0:
		k.Protocol = own[0]
	case !slices.Contains(own, k.Protocol):
		return nil, unix.EPROTONOSUPPORT
	}
	if k.Type == unix.SOCK_STREAM {
		return newTCP(f.stack, k), nil
	}
	return newUDP(f.stack, k), nil
}

// The range of ports that are given out, net.ipv4.ip_local_port_range.
const (
	firstEphemeral = 32768
	lastEphemeral  = 60999
)

// ports is the names of one protocol in use.
type ports struct {
	bound map[uint16][]*base
	next  uint16
}

func newPorts() ports {
	return ports{bound: map[uint16][]*base{}, next: firstEphemeral + uint16(rand.IntN(lastEphemeral-firstEphemeral))}
}

// take gives b the name addr, of which the port may be 0 for any.
// Preconditions: the stack is locked.
func (p *ports) take(b *base, addr netip.AddrPort) error {
	if addr.Port() != 0 {
		return p.takePort(b, addr)
	}
	for range lastEphemeral - firstEphemeral + 1 {
		port := p.next
		if p.next++; p.next > lastEphemeral {
			p.next = firstEphemeral
		}
		if p.takePort(b, netip.AddrPortFrom(addr.Addr(), port)) == nil {
			return nil
		}
	}
	return unix.EADDRINUSE
}

func (p *ports) takePort(b *base, addr netip.AddrPort) error {
	for _, other := range p.bound[addr.Port()] {
		if other.conflicts(b, addr.Addr()) {
			return unix.EADDRINUSE
		}
	}
	b.local, b.bound = addr, true
	p.bound[addr.Port()] = append(p.bound[addr.Port()], b)
	return nil
}

// release gives the name of b back.
// Preconditions: the stack is locked.
func (p *ports) release(b *base) {
	if !b.bound {
		return
	}
	b.bound = false
	list := p.bound[b.local.Port()]
	for i, other := range list {
		if other == b {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(p.bound, b.local.Port())
		return
	}
	p.bound[b.local.Port()] = list
}

// base is what sockets of both protocols have.
type base struct {
	socket.Common
	stack  *Stack
	ports  *ports
	owner  socket.Socket
	number uint64 // in stack.all

	// Guarded by stack.mu.
	local     netip.AddrPort // IPv4 addresses are not mapped
	remote    netip.AddrPort // valid if connected
	bound     bool           // local is in ports
	listening bool
	// What bind was told to take, rather than any.
	choseAddr, chosePort bool
}

// v6only tells whether an AF_INET6 socket is for IPv6 alone.
func (b *base) v6only() bool { return b.Int(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY) != 0 }

// covers tells whether packets to ip come to a socket of b's kind bound to
// local.
func (b *base) covers(local, ip netip.Addr) bool {
	switch {
	case !local.IsUnspecified():
		return local == ip
	case local.Is4():
		return ip.Is4()
	}
	return ip.Is6() || !b.v6only()
}

// conflicts tells whether b's name keeps other from the same port at ip.
func (b *base) conflicts(other *base, ip netip.Addr) bool {
	mine := b.local.Addr()
	overlap := b.covers(mine, ip) || other.covers(ip, mine) || mine.IsUnspecified() && ip.IsUnspecified() && mine.Is4() == ip.Is4()
	if !overlap {
		return false
	}
	both := func(name int) bool {
		return b.Int(unix.SOL_SOCKET, name) != 0 && other.Int(unix.SOL_SOCKET, name) != 0
	}
	return !both(unix.SO_REUSEPORT) && (!both(unix.SO_REUSEADDR) || b.listening)
}

// isLocal tells whether ip is one of the loopback interface's addresses.
func isLocal(ip netip.Addr) bool { return ip.IsLoopback() }

// parse reads an address argument; mapped IPv4 addresses become plain.
func (b *base) parse(addr []byte) (netip.AddrPort, error) {
	a, err := socket.ParseInet(b.Domain, addr)
	if err != nil {
		return a, err
	}
	if a.Addr().Is4In6() && b.v6only() {
		return a, unix.ENETUNREACH
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), nil
}

// lowPort is the first port that anybody may bind
// (net.ipv4.ip_unprivileged_port_start).
const lowPort = 1024

// Bind implements socket.Socket.
func (b *base) Bind(c *socket.Caller, addr []byte) error {
	a, err := b.bindAddr(addr)
	if err != nil {
		return err
	}
	if !a.Addr().IsUnspecified() && !isLocal(a.Addr()) {
		return unix.EADDRNOTAVAIL
	}
	if a.Port() != 0 && a.Port() < lowPort && !c.VFS.Creds.Has(unix.CAP_NET_BIND_SERVICE) {
		return unix.EACCES
	}
	b.stack.mu.Lock()
	defer b.stack.mu.Unlock()
	if b.bound || b.remote.IsValid() {
		return unix.EINVAL
	}
	b.choseAddr, b.chosePort = !a.Addr().IsUnspecified(), a.Port() != 0
	return b.ports.take(b, a)
}

// forget takes away what connect gave: the peer, and a name that was not
// chosen.
// Preconditions: the stack is locked.
func (b *base) forget() {
	b.remote = netip.AddrPort{}
	ip := b.local.Addr()
	if !b.choseAddr {
		ip = b.any()
	}
	if !b.chosePort {
		b.ports.release(b)
		b.local = netip.AddrPortFrom(ip, 0)
		return
	}
	b.local = netip.AddrPortFrom(ip, b.local.Port())
}

// bindAddr is parse for bind, which takes any address without a family for
// 0.0.0.0 (ip(7)).
func (b *base) bindAddr(addr []byte) (netip.AddrPort, error) {
	if b.Domain == unix.AF_INET && len(addr) >= 16 && socket.Domain(addr) == unix.AF_UNSPEC && [4]byte(addr[4:8]) == [4]byte{} {
		addr = append([]byte{unix.AF_INET, 0}, addr[2:]...)
	}
	a, err := b.parse(addr)
	if err == unix.ENETUNREACH {
		err = unix.EINVAL
	}
	return a, err
}

// autobind gives b any port if it has none.
// Preconditions: the stack is locked.
func (b *base) autobind(ip netip.Addr) error {
	if b.bound {
		return nil
	}
	return b.ports.take(b, netip.AddrPortFrom(ip, 0))
}

// any is the unspecified address of b's domain.
func (b *base) any() netip.Addr {
	if b.Domain == unix.AF_INET {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// route is where packets to ip go and where they come from: ENETUNREACH for
// what is not local.
func (b *base) route(to netip.AddrPort) (dst netip.AddrPort, src netip.Addr, err error) {
	ip := to.Addr()
	src = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if ip.Is6() {
		src = netip.IPv6Loopback()
	}
	if ip.IsUnspecified() {
		ip = src
	}
	dst = netip.AddrPortFrom(ip, to.Port())
	if !isLocal(ip) && b.stack.outside[dst] == nil {
		return dst, src, unix.ENETUNREACH
	}
	if local := b.local.Addr(); b.bound && !local.IsUnspecified() {
		if local.Is4() != ip.Is4() {
			return dst, src, unix.ENETUNREACH
		}
		src = local
	}
	return dst, src, nil
}

// find is the socket that gets what is sent from src to dst: the one whose
// name says most.
// Preconditions: the stack is locked.
func (s *Stack) find(p *ports, src, dst netip.AddrPort, want func(*base) bool) *base {
	var best []*base
	most := -1
	for _, b := range p.bound[dst.Port()] {
		score := b.score(src, dst)
		if score < 0 || score < most || !want(b) {
			continue
		}
		if score > most {
			best, most = nil, score
		}
		best = append(best, b)
	}
	if len(best) == 0 {
		return nil
	}
	if best[0].Int(unix.SOL_SOCKET, unix.SO_REUSEPORT) == 0 {
		return best[len(best)-1]
	}
	s.turn++
	return best[s.turn%uint(len(best))]
}

// score tells how well b's name fits, negative if it does not.
func (b *base) score(src, dst netip.AddrPort) int {
	if !b.covers(b.local.Addr(), dst.Addr()) {
		return -1
	}
	score := 0
	if !b.local.Addr().IsUnspecified() {
		score += 2
	}
	if b.local.Addr().Is4() == dst.Addr().Is4() {
		score++
	}
	if b.remote.IsValid() {
		if b.remote != src {
			return -1
		}
		score += 4
	}
	return score
}

// Name implements socket.Socket.
func (b *base) Name() ([]byte, error) {
	b.stack.mu.Lock()
	defer b.stack.mu.Unlock()
	return socket.EncodeInet(b.Domain, b.local), nil
}

// Peer implements socket.Socket.
func (b *base) Peer() ([]byte, error) {
	b.stack.mu.Lock()
	defer b.stack.mu.Unlock()
	if !b.remote.IsValid() {
		return nil, unix.ENOTCONN
	}
	return socket.EncodeInet(b.Domain, b.remote), nil
}

// SetOption implements socket.Socket.
func (b *base) SetOption(level, name int, value []byte) error {
	if level == unix.IPPROTO_IPV6 && name == unix.IPV6_V6ONLY && b.Domain == unix.AF_INET6 {
		b.stack.mu.Lock()
		bound := b.bound
		b.stack.mu.Unlock()
		if bound {
			return unix.EINVAL
		}
	}
	if memberships[socket.OptionName{Level: level, Name: name}] {
		return unix.ENODEV // no interface has multicast
	}
	return b.Common.SetOption(level, name, value)
}
