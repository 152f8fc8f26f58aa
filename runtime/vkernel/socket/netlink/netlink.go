// Package netlink is AF_NETLINK sockets: NETLINK_ROUTE as far as programs
// use it to find out about interfaces, addresses and whether an address is local
// (getifaddrs, getaddrinfo, ip), where changes are refused; and NETLINK_SOCK_DIAG of a
// kernel without a module that could answer, so that ss reads /proc/net. See netlink(7),
// rtnetlink(7) and sock_diag(7).
package netlink

import (
	"encoding/binary"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Family is AF_NETLINK.
type Family struct {
	Interfaces func() []socket.Interface
}

// New implements socket.Family.
func (f Family) New(k socket.Kind) (socket.Socket, error) {
	switch {
	case k.Type != unix.SOCK_RAW && k.Type != unix.SOCK_DGRAM:
		return nil, unix.ESOCKTNOSUPPORT
	case protocols[k.Protocol] == nil:
		return nil, unix.EPROTONOSUPPORT
	}
	s := &sock{interfaces: f.Interfaces, answer: protocols[k.Protocol]}
	s.Init(k, options)
	s.in = socket.Half{Reader: &s.Common}
	s.in.SetLimit(1 << 20)
	return s, nil
}

// options are those of netlink(7) that change nothing here.
var options = socket.Table{
	{Level: unix.SOL_NETLINK, Name: unix.NETLINK_PKTINFO}:          {Fit: socket.Bool},
	{Level: unix.SOL_NETLINK, Name: unix.NETLINK_EXT_ACK}:          {Fit: socket.Bool},
	{Level: unix.SOL_NETLINK, Name: unix.NETLINK_CAP_ACK}:          {Fit: socket.Bool},
	{Level: unix.SOL_NETLINK, Name: unix.NETLINK_GET_STRICT_CHK}:   {Fit: socket.Bool},
	{Level: unix.SOL_NETLINK, Name: unix.NETLINK_NO_ENOBUFS}:       {Fit: socket.Bool},
	{Level: unix.SOL_NETLINK, Name: unix.NETLINK_BROADCAST_ERROR}:  {Fit: socket.Bool},
	{Level: unix.SOL_NETLINK, Name: unix.NETLINK_ADD_MEMBERSHIP}:   {Fit: socket.Any},
	{Level: unix.SOL_NETLINK, Name: unix.NETLINK_DROP_MEMBERSHIP}:  {Fit: socket.Any},
	{Level: unix.SOL_NETLINK, Name: unix.NETLINK_LISTEN_ALL_NSID}:  {Fit: socket.Bool},
	{Level: unix.SOL_NETLINK, Name: unix.NETLINK_LIST_MEMBERSHIPS}: {},
}

// protocols are who answers, by NETLINK_*.
var protocols = map[int]func(*sock, request){
	unix.NETLINK_ROUTE:     (*sock).answerRoute,
	unix.NETLINK_SOCK_DIAG: func(s *sock, r request) { s.fail(r, unix.ENOENT) },
}

// sock is a netlink socket.
type sock struct {
	socket.Common
	socket.Unsupported
	interfaces func() []socket.Interface
	answer     func(*sock, request)
	in         socket.Half
	port       atomic.Uint32 // 0 until the first bind or send
}

// address is a struct sockaddr_nl.
func address(port uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, unix.AF_NETLINK)
	b = binary.LittleEndian.AppendUint32(b, port)
	return binary.LittleEndian.AppendUint32(b, 0)
}

// Release implements vfs.File.
func (s *sock) Release() { s.in.Drop() }

// Bind implements socket.Socket.
func (s *sock) Bind(c *socket.Caller, addr []byte) error {
	if len(addr) < 12 || socket.Domain(addr) != unix.AF_NETLINK {
		return unix.EINVAL
	}
	port := binary.LittleEndian.Uint32(addr[4:])
	if port == 0 {
		port = uint32(c.Creds.PID)
	}
	s.port.Store(port)
	return nil
}

// autobind gives the socket its process's id if it has no port.
func (s *sock) autobind(c *socket.Caller) { s.port.CompareAndSwap(0, uint32(c.Creds.PID)) }

// Connect implements socket.Socket: the kernel is the only peer.
func (s *sock) Connect(c *socket.Caller, _ []byte) error {
	s.autobind(c)
	return nil
}

// Send implements socket.Socket: each request is answered at once.
func (s *sock) Send(c *socket.Caller, m *socket.Message) (int, error) {
	if len(m.Addr) > 0 && socket.Domain(m.Addr) != unix.AF_NETLINK {
		return 0, unix.EINVAL
	}
	s.autobind(c)
	var raw []byte
	for _, b := range m.Data {
		raw = append(raw, b...)
	}
	size := len(raw)
	for len(raw) >= headerSize {
		n := int(binary.LittleEndian.Uint32(raw))
		if n < headerSize || n > len(raw) {
			break
		}
		s.answer(s, newRequest(raw[:n]))
		raw = raw[min(len(raw), align(n)):]
	}
	return size, nil
}

// Recv implements socket.Socket.
func (s *sock) Recv(m *socket.Message) (int, error) {
	n, err := s.in.Take(m, false)
	m.Control.Creds = nil
	return n, err
}

// Ready implements vfs.Poller.
func (s *sock) Ready() wait.Mask {
	if s.in.Packets() > 0 {
		return wait.In | wait.Out
	}
	return wait.Out
}

// Name implements socket.Socket.
func (s *sock) Name() ([]byte, error) { return address(s.port.Load()), nil }

// Peer implements socket.Socket.
func (s *sock) Peer() ([]byte, error) { return address(0), nil }

// Readable implements socket.Socket.
func (s *sock) Readable() (int, error) { return s.in.First(), nil }
