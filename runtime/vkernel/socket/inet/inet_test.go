package inet

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

var root = &socket.Caller{VFS: &vfs.Caller{Creds: vfs.RootCreds()}}

// await tries op again whenever the socket has news.
func await(s socket.Socket, op func() error) error {
	entry, ready := wait.NewChannelEntry(wait.In | wait.Out)
	s.Queue().Register(entry)
	defer s.Queue().Unregister(entry)
	for {
		if err := op(); err != unix.EAGAIN {
			return err
		}
		<-ready
	}
}

func listen(t *testing.T, s *Stack, port uint16, backlog int) socket.Socket {
	l, err := s.Family().New(socket.Kind{Domain: unix.AF_INET, Type: unix.SOCK_STREAM})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Bind(root, socket.EncodeInet(unix.AF_INET, netip.AddrPortFrom(netip.IPv4Unspecified(), port))); err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(root, backlog); err != nil {
		t.Fatal(err)
	}
	return l
}

// echo serves n connections at a time from l.
func echo(l socket.Socket, n int) {
	for range n {
		var c socket.Socket
		await(l, func() (err error) {
			c, err = l.Accept()
			return err
		})
		go func() {
			defer c.Release()
			conn := &Conn{socket: c, closed: make(chan struct{})}
			io.Copy(struct{ io.Writer }{conn}, struct{ io.Reader }{conn})
		}()
	}
}

// TestDial sends data through many connections from outside at once, with a
// backlog that is too short for them.
func TestDial(t *testing.T) {
	const clients = 40
	s := NewStack()
	l := listen(t, s, 80, 3)
	go echo(l, clients)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			from := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), uint16(1000+i))
			c, err := s.Dial(from, 80)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			sent := make([]byte, rand.IntN(1<<20))
			rand.NewChaCha8([32]byte{byte(i)}).Read(sent)
			go func() {
				c.Write(sent)
				c.CloseWrite()
			}()
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("sent %d bytes, got %d back, %v", len(sent), len(got), err)
			}
		})
	}
	all.Wait()
	l.Release()
	if _, err := s.Dial(netip.MustParseAddrPort("192.0.2.7:1"), 80); err != unix.ECONNREFUSED {
		t.Errorf("connecting to a closed port: %v", err)
	}
}

// TestPortsComeBack uses every port that is given out, twice.
func TestPortsComeBack(t *testing.T) {
	s := NewStack()
	for range 2 {
		var list []socket.Socket
		for {
			u := newUDP(s, socket.Kind{Domain: unix.AF_INET, Type: unix.SOCK_DGRAM})
			list = append(list, u)
			if err := u.Bind(root, socket.EncodeInet(unix.AF_INET, netip.AddrPort{})); err == unix.EADDRINUSE {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if len(list) > 1<<16 {
				t.Fatal("there are more than all ports")
			}
		}
		if got, want := len(list)-1, lastEphemeral-firstEphemeral+1; got != want {
			t.Errorf("%d ports, want %d", got, want)
		}
		for _, u := range list {
			u.Release()
		}
	}
	if len(s.udp.bound) != 0 {
		t.Error("ports of closed sockets are in use")
	}
}

// TestLowPort: only who may binds a port below 1024.
func TestLowPort(t *testing.T) {
	user := &socket.Caller{VFS: &vfs.Caller{Creds: vfs.UserCreds(1000, 1000)}}
	s := newTCP(NewStack(), socket.Kind{Domain: unix.AF_INET, Type: unix.SOCK_STREAM})
	addr := socket.EncodeInet(unix.AF_INET, netip.MustParseAddrPort("127.0.0.1:80"))
	if err := s.Bind(user, addr); err != unix.EACCES {
		t.Errorf("a user binds port 80: %v", err)
	}
	if err := s.Bind(root, addr); err != nil {
		t.Error(err)
	}
}
