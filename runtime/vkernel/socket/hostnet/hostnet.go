// Package hostnet is AF_INET and AF_INET6 sockets that are the runner's own
// (--net host): each is a non-blocking host descriptor, calls are passed on
// with their bytes as they are, and one goroutine learns from epoll when to try
// again. The host decides on ports, routes and permissions.
package hostnet

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Family makes host sockets.
type Family struct {
	poller *poller
}

// New makes a Family.
func New() (*Family, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	return &Family{p}, nil
}

// New implements socket.Family.
func (f *Family) New(k socket.Kind) (socket.Socket, error) {
	fd, err := unix.Socket(k.Domain, k.Type|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, k.Protocol)
	if err != nil {
		return nil, err
	}
	return f.wrap(fd, k)
}

// ProcFiles implements socket.Prober: the host's.
func (f *Family) ProcFiles() []socket.ProcFile {
	return socket.HostProcFiles("arp icmp icmp6 igmp igmp6 ipv6_route netstat packet raw raw6 route snmp snmp6 sockstat sockstat6 tcp tcp6 udp udp6 udplite udplite6")
}

func (f *Family) wrap(fd int, k socket.Kind) (socket.Socket, error) {
	s := &sock{fd: fd, poller: f.poller}
	s.Init(k)
	if err := f.poller.add(s); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return s, nil
}

// sock is a host socket. Methods are not called after Release.
type sock struct {
	socket.Common
	fd     int
	poller *poller
	dialed atomic.Pointer[[]byte] // where connect was told to connect to
	urgent
}

// call makes a system call with a buffer.
func call(nr uintptr, fd int, b []byte, n uintptr) error {
	_, _, e := unix.Syscall(nr, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), n)
	return result(e)
}

func result(e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

// Release implements vfs.File.
func (s *sock) Release() {
	s.poller.remove(s)
	unix.Close(s.fd)
}

// Bind implements socket.Socket.
func (s *sock) Bind(_ *socket.Caller, addr []byte) error {
	return call(unix.SYS_BIND, s.fd, addr, uintptr(len(addr)))
}

// Listen implements socket.Socket.
func (s *sock) Listen(_ *socket.Caller, backlog int) error { return unix.Listen(s.fd, backlog) }

// Accept implements socket.Socket.
func (s *sock) Accept() (socket.Socket, error) {
	fd, _, e := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(s.fd), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return nil, e
	}
	f := &Family{s.poller}
	return f.wrap(int(fd), s.Kind)
}

// Connect implements socket.Socket.
func (s *sock) Connect(_ *socket.Caller, addr []byte) error {
	s.dialed.Store(&addr)
	return call(unix.SYS_CONNECT, s.fd, addr, uintptr(len(addr)))
}

// Connected implements socket.Socket: another connect tells what became of
// the first one.
func (s *sock) Connected() error {
	addr := *s.dialed.Load()
	switch err := call(unix.SYS_CONNECT, s.fd, addr, uintptr(len(addr))); err {
	case unix.EALREADY, unix.EINPROGRESS:
		return unix.EAGAIN
	case unix.EISCONN:
		return nil
	default:
		return err
	}
}

// Shutdown implements socket.Socket.
func (s *sock) Shutdown(how int) error {
	err := unix.Shutdown(s.fd, how)
	s.Notify(socket.Gone)
	return err
}

// name is getsockname or getpeername.
func (s *sock) name(nr uintptr) ([]byte, error) {
	b := make([]byte, socket.MaxAddr)
	n := uint32(len(b))
	_, _, e := unix.Syscall(nr, uintptr(s.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)))
	return b[:n], result(e)
}

// Name implements socket.Socket.
func (s *sock) Name() ([]byte, error) { return s.name(unix.SYS_GETSOCKNAME) }

// Peer implements socket.Socket.
func (s *sock) Peer() ([]byte, error) { return s.name(unix.SYS_GETPEERNAME) }

// ours are the options that the vkernel itself acts on.
var ours = map[int]bool{unix.SO_RCVTIMEO: true, unix.SO_SNDTIMEO: true}

// SetOption implements socket.Socket.
func (s *sock) SetOption(level, name int, value []byte) error {
	if level == unix.SOL_SOCKET && ours[name] {
		return s.Common.SetOption(level, name, value)
	}
	_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(s.fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), 0)
	return result(e)
}

// Option implements socket.Socket.
func (s *sock) Option(level, name, size int) ([]byte, error) {
	if level == unix.SOL_SOCKET && ours[name] {
		return s.Common.Option(level, name, size)
	}
	b := make([]byte, max(size, 1))
	n := uint32(size)
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0)
	return b[:n], result(e)
}

// Ready implements vfs.Poller.
func (s *sock) Ready() wait.Mask {
	p := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN | unix.POLLOUT | unix.POLLPRI | unix.POLLRDHUP}}
	if n, err := unix.Poll(p, 0); n <= 0 || err != nil {
		return 0
	}
	return wait.Mask(uint16(p[0].Revents))
}

// Readable implements socket.Socket.
func (s *sock) Readable() (int, error) { return unix.IoctlGetInt(s.fd, unix.SIOCINQ) }

// Unsent implements socket.Socket.
func (s *sock) Unsent() (int, error) { return unix.IoctlGetInt(s.fd, unix.SIOCOUTQ) }
