// Package socket is what all families of sockets share: the interface between
// the system calls and a family, the options of SOL_SOCKET, the queues that
// carry data between two sockets, and the network of a container, which is
// its families and interfaces. It knows nothing of tasks, descriptors or guest
// memory: addresses are the bytes of a struct sockaddr, a message is buffers, and
// what cannot be done now is EAGAIN (package wait says how that is waited for).
//
// The families are the packages below it: local (AF_UNIX), inet (TCP and UDP
// inside the container), hostnet (the same on the host's sockets), netlink.
//
// Lock order: a family's own locks, Half.mu, Common.mu, wait.Queue.mu. A
// description is never released while one of them is held.
package socket

import (
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Ucred is struct ucred: who sent a message or made a connection.
type Ucred struct {
	PID      int32
	UID, GID uint32
}

// Caller is who makes a call on a socket.
type Caller struct {
	VFS   *vfs.Caller
	Creds Ucred
}

// Message is what is sent, or where to put what is received.
type Message struct {
	Data    [][]byte
	Addr    []byte // where to, or where from; empty for none
	Flags   int    // MSG_*; those of the result after a receive
	Control Control
	// Begun says that a receive goes on which has got something already: it
	// ends at the mark of out-of-band data.
	Begun bool
}

// Len is the room of m's buffers, bytes.
func (m *Message) Len() (n int) {
	for _, b := range m.Data {
		n += len(b)
	}
	return n
}

// Socket is one socket of any family. No method blocks: EAGAIN says that
// Queue tells when to try again. A method that a family has no use for gives
// EOPNOTSUPP.
type Socket interface {
	vfs.File
	vfs.Poller
	// Base is the part that is the same for all families.
	Base() *Common
	Bind(c *Caller, addr []byte) error
	Listen(c *Caller, backlog int) error
	// Accept takes a connection that is ready.
	Accept() (Socket, error)
	// Connect begins a connection. EINPROGRESS: Connected tells what becomes
	// of it. EAGAIN: try again.
	Connect(c *Caller, addr []byte) error
	// Connected is EAGAIN until a connection that was begun is there or failed.
	Connected() error
	Send(c *Caller, m *Message) (int, error)
	// Recv gives 0 and no error at the end. With MSG_TRUNC it tells the
	// length of the datagram.
	Recv(m *Message) (int, error)
	// Shutdown is shutdown(2); how is SHUT_*.
	Shutdown(how int) error
	// Name and Peer are getsockname and getpeername.
	Name() ([]byte, error)
	Peer() ([]byte, error)
	SetOption(level, name int, value []byte) error
	// Option gives the whole value; the caller cuts it. size is what was
	// asked for.
	Option(level, name, size int) ([]byte, error)
	// Readable is FIONREAD, Unsent is SIOCOUTQ, bytes.
	Readable() (int, error)
	Unsent() (int, error)
}

// Family makes the sockets of a domain (AF_*).
type Family interface {
	New(k Kind) (Socket, error)
}

// Pairer is a family that has socketpair(2).
type Pairer interface {
	NewPair(c *Caller, k Kind) (a, b Socket, err error)
}

// Kind is the three arguments of socket(2), without flags.
type Kind struct {
	Domain, Type, Protocol int
}

// Masks of poll events that come up together.
const (
	Gone  = wait.In | wait.Out | wait.RDHup | wait.Hup | wait.Err // a connection ended
	AtEnd = wait.In | wait.RDHup                                  // nothing more will come
)
