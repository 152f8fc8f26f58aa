package syscalls

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// maxSplice is how much one splice moves, bytes: a pipe's default size.
const maxSplice = 64 << 10

// splicing is one splice or tee: what is read from in is written to out, and
// taken out of a pipe only once it is written.
type splicing struct {
	t             *kernel.Task
	in, out       *vfs.Description
	inPipe        vfs.Splicer // nil if in is no pipe
	outPipe       vfs.Splicer
	size          int
	nonblock      bool
	inPos, outPos *position // nil: as read and write do
}

func newSplicing(t *kernel.Task, in, out *vfs.Description, size uint64, flags uint32) *splicing {
	s := &splicing{t: t, in: in, out: out, size: int(min(size, maxSplice)), nonblock: flags&unix.SPLICE_F_NONBLOCK != 0}
	s.inPipe, _ = in.File().(vfs.Splicer)
	s.outPipe, _ = out.File().(vfs.Splicer)
	return s
}

// knownSplice are the flags that exist.
const knownSplice = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MORE | unix.SPLICE_F_GIFT

func sysSplice(t *kernel.Task, a Args) (uint64, error) {
	if a[4] == 0 {
		return 0, nil
	}
	if a.Uint(5)&^knownSplice != 0 {
		return 0, unix.EINVAL
	}
	return withFile(t, a.Int(0), func(in *vfs.Description) (uint64, error) {
		return withFile(t, a.Int(2), func(out *vfs.Description) (uint64, error) {
			s := newSplicing(t, in, out, a[4], a.Uint(5))
			switch {
			case !in.Readable(), !out.Writable():
				return 0, unix.EBADF
			case s.inPipe != nil && a[1] != 0, s.outPipe != nil && a[3] != 0:
				return 0, unix.ESPIPE
			case s.inPipe == nil && s.outPipe == nil, s.inPipe != nil && s.outPipe != nil && s.inPipe.Same(s.outPipe):
				return 0, unix.EINVAL
			}
			return s.at(a[1], a[3])
		})
	})
}

// at moves at the positions in the guest's variables at in and out, 0 for
// those of the files.
func (s *splicing) at(in, out uint64) (n uint64, err error) {
	if in != 0 {
		if s.inPos, err = newPosition(s.t, s.in, in); err != nil {
			return 0, err
		}
	}
	if out != 0 {
		if s.outPos, err = newPosition(s.t, s.out, out); err != nil {
			return 0, err
		}
	}
	n, err = s.move()
	for _, pos := range []*position{s.inPos, s.outPos} {
		if pos != nil {
			pos.off += int64(n)
			err = firstError(err, pos.store())
		}
	}
	return n, err
}

// move waits until there is something to move and room for it, and moves it.
func (s *splicing) move() (uint64, error) {
	if s.outPipe != nil {
		if err := s.awaitRoom(); err != nil {
			return 0, err
		}
	}
	buf := make([]byte, s.size)
	n, err := s.read(buf)
	if n == 0 || err != nil {
		return 0, err
	}
	done, err := s.write(buf[:n])
	if s.inPipe != nil && done > 0 {
		s.in.Read(buf[:done])
	}
	return uint64(done), keep(uint64(done), err)
}

// block waits for an operation unless nothing may wait.
func (s *splicing) block(d *vfs.Description, mask wait.Mask, op func() error) error {
	if err := op(); err != unix.EAGAIN || s.nonblock || d.Nonblock() {
		return err
	}
	return s.t.Block(d.Queue(), mask, time.Time{}, op)
}

// awaitRoom waits until the pipe takes something, and moves no more than
// that.
func (s *splicing) awaitRoom() error {
	return s.block(s.out, wait.Out, func() error {
		room := s.outPipe.Room()
		switch {
		case room > 0:
			s.size = min(s.size, room)
			return nil
		case s.out.Ready()&wait.Err != 0:
			return nil // the write will say EPIPE
		}
		return unix.EAGAIN
	})
}

func (s *splicing) read(buf []byte) (n int, err error) {
	switch {
	case s.inPipe != nil:
		err = s.block(s.in, wait.In, func() (err error) {
			n, err = s.inPipe.Peek(buf)
			return err
		})
		return n, err
	case s.inPos != nil:
		n, err = s.in.Pread(buf, s.inPos.off)
		return n, noPositions(err)
	}
	if f, isSocket := asSocket(s.in); isSocket && s.nonblock {
		m := &socket.Message{Data: [][]byte{buf}, Flags: unix.MSG_DONTWAIT}
		got, err := recv(s.t, s.in, f, m)
		m.Control.Release()
		return int(got), err
	}
	return readFrom(s.t, s.in, buf)
}

func (s *splicing) write(p []byte) (int, error) {
	if s.outPos != nil {
		n, err := s.out.Pwrite(p, s.outPos.off)
		return n, noPositions(err)
	}
	return writeTo(s.t, s.out, p)
}

// noPositions is the error for a position in a stream that is no pipe.
func noPositions(err error) error {
	if err == unix.ESPIPE {
		return unix.EINVAL
	}
	return err
}

func sysTee(t *kernel.Task, a Args) (uint64, error) {
	if a.Uint(3)&^knownSplice != 0 {
		return 0, unix.EINVAL
	}
	if a[2] == 0 {
		return 0, nil
	}
	return withFile(t, a.Int(0), func(in *vfs.Description) (uint64, error) {
		return withFile(t, a.Int(1), func(out *vfs.Description) (uint64, error) {
			s := newSplicing(t, in, out, a[2], a.Uint(3))
			switch {
			case !in.Readable(), !out.Writable():
				return 0, unix.EBADF
			case s.inPipe == nil, s.outPipe == nil, s.inPipe.Same(s.outPipe):
				return 0, unix.EINVAL
			}
			if err := s.awaitRoom(); err != nil {
				return 0, err
			}
			buf := make([]byte, s.size)
			n, err := s.read(buf)
			if n == 0 || err != nil {
				return 0, err
			}
			return count(s.write(buf[:n]))
		})
	})
}

// sysVmsplice copies: pages are not given away.
func sysVmsplice(t *kernel.Task, a Args) (uint64, error) {
	if a.Uint(3)&^knownSplice != 0 {
		return 0, unix.EINVAL
	}
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		if _, isPipe := d.File().(vfs.Splicer); !isPipe {
			return 0, unix.EBADF
		}
		if d.Writable() {
			return sysWritev(t, a)
		}
		return sysReadv(t, a)
	})
}

// isPipe tells whether d is a pipe or FIFO.
func isPipe(d *vfs.Description) bool {
	_, is := d.File().(vfs.Splicer)
	return is
}
