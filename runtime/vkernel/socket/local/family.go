// Package local is AF_UNIX sockets as unix(7) describes them: stream,
// datagram and sequenced-packet ones, with names in the file system and abstract
// ones, descriptors and credentials passed along. It knows nothing of tasks.
//
// Lock order: Family.mu, dgram.blockedMu, then those of package socket. The
// vfs is not called with one of them held.
package local

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Family is AF_UNIX of one container.
type Family struct {
	// mu guards the names, and how sockets are connected.
	mu       sync.Mutex
	byInode  map[vfs.Inode]endpoint
	abstract map[string]endpoint
	all      map[endpoint]bool
	lastAuto uint32
}

// endpoint is a socket of any type.
type endpoint interface {
	socket.Socket
	node() *base
}

// New makes a family without sockets.
func New() *Family {
	return &Family{byInode: map[vfs.Inode]endpoint{}, abstract: map[string]endpoint{}, all: map[endpoint]bool{}}
}

// New implements socket.Family.
func (f *Family) New(k socket.Kind) (socket.Socket, error) {
	if k.Protocol != 0 && k.Protocol != unix.AF_UNIX {
		return nil, unix.EPROTONOSUPPORT
	}
	k.Protocol = 0
	switch k.Type {
	case unix.SOCK_STREAM, unix.SOCK_SEQPACKET:
		return f.newStream(k), nil
	case unix.SOCK_RAW: // as Linux has it
		k.Type = unix.SOCK_DGRAM
		fallthrough
	case unix.SOCK_DGRAM:
		return f.newDgram(k), nil
	}
	return nil, unix.ESOCKTNOSUPPORT
}

// NewPair implements socket.Pairer.
func (f *Family) NewPair(c *socket.Caller, k socket.Kind) (socket.Socket, socket.Socket, error) {
	first, err := f.New(k)
	if err != nil {
		return nil, nil, err
	}
	second, _ := f.New(k)
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, isStream := first.(*stream); isStream {
		b := second.(*stream)
		join(a, b)
		a.peerCreds, b.peerCreds = &c.Creds, &c.Creds
	} else {
		a, b := first.(*dgram), second.(*dgram)
		a.peer, b.peer = b, a
	}
	return first, second, nil
}

// base is what sockets of all types have: a name.
type base struct {
	socket.Common
	socket.Unsupported
	fam  *Family
	self endpoint

	// Guarded by fam.mu.
	name   []byte   // struct sockaddr_un, nil if it has none
	path   vfs.Path // keeps the inode of the name
	closed bool
}

func (b *base) node() *base { return b }

// init makes b part of self.
func (b *base) init(f *Family, k socket.Kind, self endpoint) {
	b.Init(k)
	b.fam, b.self = f, self
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all[self] = true
}

// forget takes the socket's name away.
// Preconditions: fam.mu is held.
func (b *base) forget() {
	b.closed = true
	delete(b.fam.all, b.self)
	switch {
	case b.path.Ok():
		if b.fam.byInode[b.path.Inode()] == b.self {
			delete(b.fam.byInode, b.path.Inode())
		}
	case b.name != nil:
		if key := string(b.name[2:]); b.fam.abstract[key] == b.self {
			delete(b.fam.abstract, key)
		}
	}
}

// maxName is sizeof(struct sockaddr_un).
const maxName = 110

// nameOf checks a struct sockaddr_un and gives what stands in it: a path, or
// an abstract name that begins with NUL. It is empty if there is none.
func nameOf(addr []byte) (string, error) {
	if len(addr) < 2 || len(addr) > maxName || socket.Domain(addr) != unix.AF_UNIX {
		return "", unix.EINVAL
	}
	name := addr[2:]
	if len(name) > 0 && name[0] != 0 {
		name, _, _ = bytes.Cut(name, []byte{0})
	}
	return string(name), nil
}

// encode makes a struct sockaddr_un; paths end with NUL.
func encode(name string) []byte {
	b := binary.LittleEndian.AppendUint16(nil, unix.AF_UNIX)
	b = append(b, name...)
	if name[0] != 0 {
		b = append(b, 0)
	}
	return b
}

// unnamed is the address of a socket without a name.
func unnamed() []byte { return binary.LittleEndian.AppendUint16(nil, unix.AF_UNIX) }

// Bind implements socket.Socket.
func (b *base) Bind(c *socket.Caller, addr []byte) error {
	name, err := nameOf(addr)
	switch {
	case err != nil:
		return err
	case b.named():
		return b.bindAgain(c, name)
	case name == "":
		return b.autobind()
	case name[0] == 0:
		return b.bindAbstract(name)
	}
	return b.bindPath(c, name)
}

// bindAgain is the error for a socket that has a name: a path that exists
// counts first.
func (b *base) bindAgain(c *socket.Caller, name string) error {
	if name != "" && name[0] != 0 {
		if _, err := c.VFS.Resolve(vfs.Path{}, name, unix.AT_SYMLINK_NOFOLLOW); err == nil {
			return unix.EADDRINUSE
		}
	}
	return unix.EINVAL
}

func (b *base) named() bool {
	b.fam.mu.Lock()
	defer b.fam.mu.Unlock()
	return b.name != nil
}

func (b *base) bindAbstract(name string) error {
	f := b.fam
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.abstract[name] != nil {
		return unix.EADDRINUSE
	}
	f.abstract[name] = b.self
	b.name = encode(name)
	return nil
}

// autobind gives the socket a name of its own: NUL and five hexadecimal
// digits.
func (b *base) autobind() error {
	for range 1 << 20 {
		b.fam.mu.Lock()
		b.fam.lastAuto++
		name := fmt.Sprintf("\x00%05x", b.fam.lastAuto&0xfffff)
		b.fam.mu.Unlock()
		if b.bindAbstract(name) == nil {
			return nil
		}
	}
	return unix.ENOSPC
}

func (b *base) bindPath(c *socket.Caller, name string) error {
	err := c.VFS.Mknod(vfs.Path{}, name, unix.S_IFSOCK|0o777, 0)
	if err == unix.EEXIST {
		return unix.EADDRINUSE
	}
	if err != nil {
		return err
	}
	p, err := c.VFS.Resolve(vfs.Path{}, name, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return err
	}
	f := b.fam
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byInode[p.Inode()] = b.self
	b.name, b.path = encode(name), p
	return nil
}

// find is the socket with a name: ECONNREFUSED if there is none.
func (f *Family) find(c *socket.Caller, addr []byte, typ int) (endpoint, error) {
	name, err := nameOf(addr)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return nil, unix.EINVAL
	}
	e, err := f.lookup(c, name)
	if err == nil && e.node().Type != typ {
		return nil, unix.EPROTOTYPE
	}
	return e, err
}

func (f *Family) lookup(c *socket.Caller, name string) (endpoint, error) {
	if name[0] == 0 {
		f.mu.Lock()
		defer f.mu.Unlock()
		return found(f.abstract[name])
	}
	p, err := c.VFS.Resolve(vfs.Path{}, name, 0)
	if err != nil {
		return nil, err
	}
	if err := c.VFS.Permit(p, vfs.Write); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return found(f.byInode[p.Inode()])
}

func found(e endpoint) (endpoint, error) {
	if e == nil {
		return nil, unix.ECONNREFUSED
	}
	return e, nil
}

// address is the socket's name, or that of one without.
// Preconditions: fam.mu is held.
func (b *base) address() []byte {
	if b.name == nil {
		return unnamed()
	}
	return b.name
}

// Name implements socket.Socket.
func (b *base) Name() ([]byte, error) {
	b.fam.mu.Lock()
	defer b.fam.mu.Unlock()
	return b.address(), nil
}

// sender makes ready what a message says of who sent it: a name if the
// receiver is to see credentials, as Linux has it.
func (b *base) sender(c *socket.Caller, m *socket.Message) (socket.Ucred, error) {
	if m.Flags&unix.MSG_OOB != 0 && (b.Type != unix.SOCK_STREAM || m.Len() == 0) {
		return socket.Ucred{}, unix.EOPNOTSUPP
	}
	if b.passcred() && !b.named() {
		b.autobind()
	}
	if m.Control.Creds != nil {
		return *m.Control.Creds, nil
	}
	return c.Creds, nil
}

// AtMark implements socket.Marker, for what has no out-of-band data.
func (b *base) AtMark() (bool, error) { return false, unix.EOPNOTSUPP }

// passcred tells whether received messages show their senders.
func (b *base) passcred() bool { return b.Int(unix.SOL_SOCKET, unix.SO_PASSCRED) != 0 }

func (b *base) sendBuffer() int { return b.Int(unix.SOL_SOCKET, unix.SO_SNDBUF) }
