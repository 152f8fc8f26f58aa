package runner

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/socket/hostnet"
	"github.com/megabin/megabin/runtime/vkernel/socket/inet"
	"github.com/megabin/megabin/runtime/vkernel/socket/local"
	"github.com/megabin/megabin/runtime/vkernel/socket/netlink"
)

// Networks that a container can have.
const (
	NetNone = "none" // its own loopback interface only
	NetHost = "host" // the runner's sockets
)

// Port publishes a port of a container that has a loopback interface of its
// own: who connects to Host is connected to Guest on that interface.
type Port struct {
	Proto string         // "tcp" or "udp"
	Host  netip.AddrPort // without an address: on all of the host's
	Guest uint16
}

// buildNetwork makes the container's sockets and opens its published ports.
func (c *container) buildNetwork() error {
	n := &socket.Network{Families: map[int]socket.Family{unix.AF_UNIX: local.New()}}
	switch c.spec.Net {
	case NetNone, "":
		c.stack = inet.NewStack()
		n.Interfaces, n.Settings = socket.Loopback, socket.Settings()
		n.Families[unix.AF_INET], n.Families[unix.AF_INET6] = c.stack.Family(), c.stack.Family()
	case NetHost:
		f, err := hostnet.New()
		if err != nil {
			return fmt.Errorf("network: %w", err)
		}
		n.Interfaces, n.Settings = socket.HostInterfaces, socket.HostSettings()
		n.Families[unix.AF_INET], n.Families[unix.AF_INET6] = f, f
	default:
		return fmt.Errorf("network %q: there are %s and %s", c.spec.Net, NetNone, NetHost)
	}
	n.Families[unix.AF_NETLINK] = netlink.Family{Interfaces: n.Interfaces}
	c.net = n
	return c.publish()
}

// publish opens the host's ports.
func (c *container) publish() error {
	if len(c.spec.Publish) > 0 && c.stack == nil {
		return errors.New("with --net host the container's ports are the host's: nothing can be published")
	}
	for _, p := range c.spec.Publish {
		open := c.publishTCP
		if p.Proto == "udp" {
			open = c.publishUDP
		}
		if err := open(p); err != nil {
			return fmt.Errorf("publishing port %d: %w", p.Guest, err)
		}
	}
	return nil
}

// closeNetwork closes the published ports.
func (c *container) closeNetwork() {
	for _, l := range c.listeners {
		l.Close()
	}
}

func (c *container) publishTCP(p Port) error {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(p.Host))
	if err != nil {
		return err
	}
	c.listeners = append(c.listeners, l)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.forwardTCP(conn.(*net.TCPConn), p.Guest)
		}
	}()
	return nil
}

// forwardTCP copies between a client and the container until both are done.
// Where nobody listens the client is reset.
func (c *container) forwardTCP(client *net.TCPConn, port uint16) {
	defer client.Close()
	from := client.RemoteAddr().(*net.TCPAddr).AddrPort()
	server, err := c.stack.Dial(from, port)
	if err != nil {
		client.SetLinger(0)
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() {
		io.Copy(writerOnly{server}, client)
		server.CloseWrite()
	})
	both.Go(func() {
		if _, err := io.Copy(client, readerOnly{server}); err != nil {
			client.SetLinger(0) // the server's reset is the client's
			client.Close()
		}
		client.CloseWrite()
	})
	both.Wait()
}

// writerOnly and readerOnly keep io.Copy to one method.
type (
	writerOnly struct{ io.Writer }
	readerOnly struct{ io.Reader }
)

// udpIdle is how long a client of a published UDP port is remembered.
const udpIdle = 60 * time.Second

// maxUDPClients bounds the clients of a published UDP port.
const maxUDPClients = 1024

func (c *container) publishUDP(p Port) error {
	l, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(p.Host))
	if err != nil {
		return err
	}
	c.listeners = append(c.listeners, l)
	clients := &udpClients{c: c, host: l, guest: p.Guest, byAddr: map[netip.AddrPort]*inet.Conn{}}
	go clients.run()
	return nil
}

// udpClients is who has sent datagrams to a published port lately.
type udpClients struct {
	c     *container
	host  *net.UDPConn
	guest uint16

	mu     sync.Mutex
	byAddr map[netip.AddrPort]*inet.Conn
}

func (u *udpClients) run() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := u.host.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if conn := u.client(from); conn != nil {
			conn.Write(buf[:n]) // an error is a lost datagram
		}
	}
}

// client is the Conn of an address, made if need be; nil if there are too
// many.
func (u *udpClients) client(from netip.AddrPort) *inet.Conn {
	u.mu.Lock()
	defer u.mu.Unlock()
	if conn := u.byAddr[from]; conn != nil {
		return conn
	}
	if len(u.byAddr) >= maxUDPClients {
		return nil
	}
	conn := u.c.stack.DialUDP(from, u.guest)
	u.byAddr[from] = conn
	go u.answer(from, conn)
	return conn
}

// answer sends the container's datagrams to a client until there are none for
// some time.
func (u *udpClients) answer(to netip.AddrPort, conn *inet.Conn) {
	buf := make([]byte, 1<<16)
	for {
		n, err := conn.ReadBefore(buf, time.Now().Add(udpIdle))
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed) {
			break
		}
		if err == nil {
			u.host.WriteToUDPAddrPort(buf[:n], to)
		}
	}
	u.mu.Lock()
	delete(u.byAddr, to)
	u.mu.Unlock()
	conn.Close()
}
