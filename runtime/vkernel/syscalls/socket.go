package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Flags that come with a socket's type, and the types themselves.
const (
	sockFlags    = linux.O_CLOEXEC | linux.O_NONBLOCK
	sockTypeMask = 0xf
)

// caller is the task as sockets see it.
func caller(t *kernel.Task) *socket.Caller {
	c := t.Creds()
	return &socket.Caller{VFS: t.Caller(), Creds: socket.Ucred{PID: int32(t.PID()), UID: c.EUID, GID: c.EGID}}
}

// withSocket calls f with the socket of a descriptor.
func withSocket(t *kernel.Task, fd int, f func(d *vfs.Description, s *socket.File) (uint64, error)) (uint64, error) {
	return withFile(t, fd, func(d *vfs.Description) (uint64, error) {
		s, isSocket := d.File().(*socket.File)
		if !isSocket {
			return 0, unix.ENOTSOCK
		}
		return f(d, s)
	})
}

// installSocket gives a new socket a descriptor.
func installSocket(t *kernel.Task, s *socket.File, flags int) (uint64, error) {
	d := s.Describe(t.K.NS.System(), t.Creds().VFS(), flags)
	return install(t, d, flags&linux.O_CLOEXEC != 0)
}

// socketKind reads the arguments of socket and socketpair.
func socketKind(t *kernel.Task, a Args) (k socket.Kind, flags int, err error) {
	flags = a.Int(1) &^ sockTypeMask
	if flags&^sockFlags != 0 {
		return k, 0, unix.EINVAL
	}
	if t.K.Net == nil {
		return k, 0, unix.EAFNOSUPPORT
	}
	return socket.Kind{Domain: a.Int(0), Type: a.Int(1) & sockTypeMask, Protocol: a.Int(2)}, flags, nil
}

func sysSocket(t *kernel.Task, a Args) (uint64, error) {
	k, flags, err := socketKind(t, a)
	if err != nil {
		return 0, err
	}
	s, err := t.K.Net.New(k)
	if err != nil {
		return 0, err
	}
	return installSocket(t, s, flags)
}

func sysSocketpair(t *kernel.Task, a Args) (uint64, error) {
	k, flags, err := socketKind(t, a)
	if err != nil {
		return 0, err
	}
	one, two, err := t.K.Net.NewPair(caller(t), k)
	if err != nil {
		return 0, err
	}
	first, err := installSocket(t, one, flags)
	if err != nil {
		two.Release()
		return 0, err
	}
	second, err := installSocket(t, two, flags)
	if err == nil {
		err = mem(t).Store64(a[3], first|second<<32)
	}
	if err != nil {
		t.FDs.Close(int(first))
		t.FDs.Close(int(second))
	}
	return ok(err)
}

// addrArg reads a struct sockaddr.
func addrArg(t *kernel.Task, addr uint64, n int) ([]byte, error) {
	if n < 0 || n > socket.MaxAddr {
		return nil, unix.EINVAL
	}
	b := make([]byte, n)
	return b, mem(t).CopyIn(addr, b)
}

// storeAddr writes a struct sockaddr, as much as the int at size says there
// is room for, and its whole size there.
func storeAddr(t *kernel.Task, addr, size uint64, b []byte) error {
	v, err := mem(t).Load32(size)
	if err != nil {
		return err
	}
	room := int(int32(v))
	if room < 0 {
		return unix.EINVAL
	}
	if err := mem(t).CopyOut(addr, b[:min(room, len(b))]); err != nil {
		return err
	}
	return mem(t).Store32(size, uint32(len(b)))
}

func sysBind(t *kernel.Task, a Args) (uint64, error) {
	return withSocket(t, a.Int(0), func(_ *vfs.Description, s *socket.File) (uint64, error) {
		addr, err := addrArg(t, a[1], a.Int(2))
		if err != nil {
			return 0, err
		}
		return ok(s.Bind(caller(t), addr))
	})
}

func sysListen(t *kernel.Task, a Args) (uint64, error) {
	return withSocket(t, a.Int(0), func(_ *vfs.Description, s *socket.File) (uint64, error) {
		return ok(s.Listen(caller(t), a.Int(1)))
	})
}

// waitFor makes an operation on a socket wait, unless its file or the call's
// flags say not to, for no longer than the socket's time-out.
func waitFor(t *kernel.Task, d *vfs.Description, s *socket.File, mask wait.Mask, flags int, op func() error) error {
	if err := op(); err != unix.EAGAIN || d.Nonblock() || flags&unix.MSG_DONTWAIT != 0 {
		return err
	}
	deadline := time.Time{}
	if limit := s.Base().Timeout(mask == wait.Out); limit != 0 {
		deadline = after(limit)
	}
	err := t.Block(d.Queue(), mask, deadline, op)
	switch {
	case deadline.IsZero():
	case err == unix.ETIMEDOUT && !time.Now().Before(deadline):
		return unix.EAGAIN
	case err == kernel.ERESTARTSYS:
		return unix.EINTR
	}
	return err
}

func accept(t *kernel.Task, a Args, flags int) (uint64, error) {
	if flags&^sockFlags != 0 {
		return 0, unix.EINVAL
	}
	return withSocket(t, a.Int(0), func(d *vfs.Description, s *socket.File) (uint64, error) {
		var conn *socket.File
		err := waitFor(t, d, s, wait.In, 0, func() (err error) {
			conn, err = s.Accept()
			return err
		})
		if err != nil {
			return 0, err
		}
		if a[1] != 0 {
			peer, err := conn.Peer()
			if err == nil {
				err = storeAddr(t, a[1], a[2], peer)
			}
			if err != nil {
				conn.Release()
				return 0, err
			}
		}
		return installSocket(t, conn, flags)
	})
}

func sysAccept(t *kernel.Task, a Args) (uint64, error)  { return accept(t, a, 0) }
func sysAccept4(t *kernel.Task, a Args) (uint64, error) { return accept(t, a, a.Int(3)) }

func sysConnect(t *kernel.Task, a Args) (uint64, error) {
	return withSocket(t, a.Int(0), func(d *vfs.Description, s *socket.File) (uint64, error) {
		addr, err := addrArg(t, a[1], a.Int(2))
		if err != nil {
			return 0, err
		}
		c := caller(t)
		err = waitFor(t, d, s, wait.Out, 0, func() error { return s.Connect(c, addr) })
		if (err != unix.EINPROGRESS && err != unix.EALREADY) || d.Nonblock() {
			return ok(err)
		}
		err = waitFor(t, d, s, wait.Out, 0, s.Connected)
		if err == unix.EAGAIN {
			err = unix.EINPROGRESS // the time-out
		}
		return ok(err)
	})
}

func sysShutdown(t *kernel.Task, a Args) (uint64, error) {
	return withSocket(t, a.Int(0), func(_ *vfs.Description, s *socket.File) (uint64, error) {
		return ok(s.Shutdown(a.Int(1)))
	})
}

// socketName is getsockname and getpeername.
func socketName(get func(s *socket.File) ([]byte, error)) Func {
	return func(t *kernel.Task, a Args) (uint64, error) {
		return withSocket(t, a.Int(0), func(_ *vfs.Description, s *socket.File) (uint64, error) {
			b, err := get(s)
			if err != nil {
				return 0, err
			}
			return ok(storeAddr(t, a[1], a[2], b))
		})
	}
}

// maxOption bounds the value of an option, bytes.
const maxOption = 1 << 16

func sysSetsockopt(t *kernel.Task, a Args) (uint64, error) {
	return withSocket(t, a.Int(0), func(_ *vfs.Description, s *socket.File) (uint64, error) {
		if n := a.Int(4); n < 0 || n > maxOption {
			return 0, unix.EINVAL
		}
		value := make([]byte, a.Int(4))
		if err := mem(t).CopyIn(a[3], value); err != nil {
			return 0, err
		}
		return ok(s.SetOption(a.Int(1), a.Int(2), value))
	})
}

func sysGetsockopt(t *kernel.Task, a Args) (uint64, error) {
	return withSocket(t, a.Int(0), func(_ *vfs.Description, s *socket.File) (uint64, error) {
		v, err := mem(t).Load32(a[4])
		if err != nil {
			return 0, err
		}
		size := int(int32(v))
		if size < 0 {
			return 0, unix.EINVAL
		}
		value, err := s.Option(a.Int(1), a.Int(2), min(size, maxOption))
		if err != nil {
			return 0, err
		}
		value = value[:min(size, len(value))]
		if err := mem(t).CopyOut(a[3], value); err != nil {
			return 0, err
		}
		return ok(mem(t).CopyOut(a[4], binary.LittleEndian.AppendUint32(nil, uint32(len(value)))))
	})
}
