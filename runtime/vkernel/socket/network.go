package socket

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Network is what a container's sockets are made by.
type Network struct {
	Families map[int]Family // by AF_*
	// Interfaces lists the network interfaces.
	Interfaces func() []Interface
	// Settings are the files of /proc/sys/net, with the names of directories.
	Settings []ProcFile

	lastIno atomic.Uint64
	flying  atomic.Int64 // descriptors on their way
}

// maxType is SOCK_MAX.
const maxType = 11

// siocATMark asks whether out-of-band data is next, asm-generic/sockios.h.
const siocATMark = 0x8905

// New makes a socket: EAFNOSUPPORT, EINVAL for a type that there is not.
func (n *Network) New(k Kind) (*File, error) {
	f := n.Families[k.Domain]
	if f == nil {
		return nil, unix.EAFNOSUPPORT
	}
	if k.Type < 0 || k.Type >= maxType {
		return nil, unix.EINVAL
	}
	s, err := f.New(k)
	if err != nil {
		return nil, err
	}
	return n.File(s), nil
}

// NewPair is socketpair(2).
func (n *Network) NewPair(c *Caller, k Kind) (a, b *File, err error) {
	f := n.Families[k.Domain]
	p, pairs := f.(Pairer)
	switch {
	case f == nil:
		return nil, nil, unix.EAFNOSUPPORT
	case k.Type < 0 || k.Type >= maxType:
		return nil, nil, unix.EINVAL
	case !pairs:
		s, err := f.New(k)
		if err != nil {
			return nil, nil, err
		}
		s.Release()
		return nil, nil, unix.EOPNOTSUPP
	}
	s, t, err := p.NewPair(c, k)
	if err != nil {
		return nil, nil, err
	}
	return n.File(s), n.File(t), nil
}

// File gives a socket an inode number.
func (n *Network) File(s Socket) *File {
	f := &File{Socket: s, net: n, ino: n.lastIno.Add(1)}
	s.Base().ino.Store(f.ino)
	return f
}

// File is an open socket as the vfs sees it, and its own inode.
type File struct {
	Socket
	net *Network
	ino uint64
}

// Describe makes the open file description; flags may be O_NONBLOCK.
func (f *File) Describe(sys *vfs.System, c *vfs.Creds, flags int) *vfs.Description {
	i := &inode{ino: f.ino, uid: c.FSUID, gid: c.FSGID}
	return sys.NewAnon(f, i, fmt.Sprintf("socket:[%d]", f.ino), linux.O_RDWR|flags&linux.O_NONBLOCK)
}

// Async implements vfs.Asyncer.
func (f *File) Async() {}

// Urgent implements vfs.Urger.
func (f *File) Urgent() {}

// Ino is the inode number.
func (f *File) Ino() uint64 { return f.ino }

// Accept is Accept of the socket, with a File around what it gives.
func (f *File) Accept() (*File, error) {
	s, err := f.Socket.Accept()
	if err != nil {
		return nil, err
	}
	return f.net.File(s), nil
}

// inode is a socket's in sockfs.
type inode struct {
	ino      uint64
	uid, gid uint32
}

// Attr implements vfs.Inode.
func (i *inode) Attr() (linux.Attr, error) {
	return linux.Attr{Ino: i.ino, Mode: unix.S_IFSOCK | 0o777, Nlink: 1, UID: i.uid, GID: i.gid, Blksize: linux.PageSize}, nil
}

// Read implements vfs.Reader, for callers who have no Caller.
func (f *File) Read(p []byte) (int, error) {
	m := Message{Data: [][]byte{p}}
	n, err := f.Recv(&m)
	m.Control.Release()
	return n, err
}

// Write implements vfs.Writer, likewise.
func (f *File) Write(p []byte) (int, error) {
	return f.Send(&Caller{}, &Message{Data: [][]byte{p}})
}

// Ioctl implements vfs.Ioctler.
func (f *File) Ioctl(_ *vfs.Caller, cmd uint32, arg uint64, mem vfs.Memory) (uint64, error) {
	switch cmd {
	case unix.SIOCINQ: // FIONREAD
		n, err := f.Readable()
		return tell(n, err, arg, mem)
	case unix.SIOCOUTQ:
		n, err := f.Unsent()
		return tell(n, err, arg, mem)
	case siocATMark:
		if m, able := f.Socket.(Marker); able {
			at, err := m.AtMark()
			return tell(toInt(at), err, arg, mem)
		}
		return 0, unix.ENOTTY
	}
	return f.net.ioctl(cmd, arg, mem)
}

func tell(n int, err error, arg uint64, mem vfs.Memory) (uint64, error) {
	if err != nil {
		return 0, err
	}
	return 0, mem.CopyOut(arg, EncodeInt(n))
}
