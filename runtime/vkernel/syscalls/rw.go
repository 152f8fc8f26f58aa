package syscalls

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// readFrom reads into p, waiting for data unless the file is non-blocking.
func readFrom(t *kernel.Task, d *vfs.Description, p []byte) (n int, err error) {
	if s, isSocket := asSocket(d); isSocket {
		n, err := readSocket(t, d, s, [][]byte{p})
		return int(n), err
	}
	op := func() error {
		if err := mayRead(t, d); err != nil {
			return err
		}
		n, err = d.Read(p)
		return err
	}
	if f, is := d.File().(perTask); is {
		op = func() error {
			n, err = f.ReadFor(t, p)
			return err
		}
	}
	if err := op(); err != unix.EAGAIN || d.Nonblock() {
		return n, err
	}
	err = t.Block(queueFor(t, d), wait.In, time.Time{}, op)
	return n, err
}

// writeTo writes all of p, waiting for room unless the file is non-blocking.
// What was written before an error counts.
func writeTo(t *kernel.Task, d *vfs.Description, p []byte) (int, error) {
	if err := mayWrite(t, d); err != nil {
		return 0, err
	}
	if s, isSocket := asSocket(d); isSocket {
		n, err := writeSocket(t, d, s, [][]byte{p})
		return int(n), err
	}
	p, err := cutToLimit(t, d, p, atOffset)
	if err != nil {
		return 0, err
	}
	done := 0
	op := func() error {
		for {
			n, err := d.Write(p[done:])
			done += n
			if err != nil || done == len(p) {
				return err
			}
			if n == 0 {
				return unix.EAGAIN
			}
		}
	}
	err = op()
	if err == unix.EAGAIN && !d.Nonblock() {
		err = t.Block(d.Queue(), wait.Out, time.Time{}, op)
	}
	if err == unix.EPIPE {
		t.Send(kernel.SigInfo{Signo: unix.SIGPIPE, Code: kernel.SiUser, PID: int32(t.PID())})
	}
	if done > 0 {
		return done, nil
	}
	return 0, err
}

func sysRead(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		p, err := buffer(t, a[1], a[2], true)
		if err != nil {
			return 0, err
		}
		return count(readFrom(t, d, p))
	})
}

func sysWrite(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		p, err := buffer(t, a[1], a[2], false)
		if err != nil {
			return 0, err
		}
		return count(writeTo(t, d, p))
	})
}

func sysPread64(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		if a.Long(3) < 0 {
			return 0, unix.EINVAL
		}
		p, err := buffer(t, a[1], a[2], true)
		if err != nil {
			return 0, err
		}
		return count(d.Pread(p, a.Long(3)))
	})
}

func sysPwrite64(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		if a.Long(3) < 0 {
			return 0, unix.EINVAL
		}
		p, err := buffer(t, a[1], a[2], false)
		if err != nil {
			return 0, err
		}
		return count(pwriteTo(t, d)(p, a.Long(3)))
	})
}

// scatter reads into each buffer until one is not filled. Only the first read
// waits.
func scatter(list [][]byte, first, more func(p []byte) (int, error)) (uint64, error) {
	total := 0
	for i, p := range list {
		read := more
		if i == 0 {
			read = first
		}
		n, err := read(p)
		if err != nil && total == 0 {
			return 0, err
		}
		total += n
		if err != nil || n < len(p) {
			break
		}
	}
	return uint64(total), nil
}

// gatherMax bounds the copy that makes a vector of buffers one write, bytes.
const gatherMax = 1 << 20

// gather writes the buffers in one piece, so that they are not torn, unless
// they are very large.
func gather(list [][]byte, write func(p []byte) (int, error)) (uint64, error) {
	if len(list) == 1 {
		return count(write(list[0]))
	}
	size := 0
	for _, p := range list {
		size += len(p)
	}
	if size > gatherMax {
		return scatter(list, write, write)
	}
	whole := make([]byte, 0, size)
	for _, p := range list {
		whole = append(whole, p...)
	}
	return count(write(whole))
}

// moving makes a read or write at a moving position out of pread or pwrite.
func moving(off int64, op func(p []byte, off int64) (int, error)) func(p []byte) (int, error) {
	return func(p []byte) (int, error) {
		n, err := op(p, off)
		off += int64(n)
		return n, err
	}
}

func sysReadv(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		list, err := iovecs(t, a[1], a.Int(2), true)
		if err != nil {
			return 0, err
		}
		if s, isSocket := asSocket(d); isSocket {
			return readSocket(t, d, s, list)
		}
		return scatter(list, func(p []byte) (int, error) { return readFrom(t, d, p) }, d.Read)
	})
}

func sysWritev(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		list, err := iovecs(t, a[1], a.Int(2), false)
		if err != nil {
			return 0, err
		}
		if s, isSocket := asSocket(d); isSocket {
			return writeSocket(t, d, s, list)
		}
		return gather(list, func(p []byte) (int, error) { return writeTo(t, d, p) })
	})
}

func sysPreadv(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		list, err := iovecs(t, a[1], a.Int(2), true)
		if err != nil || a.Long(3) < 0 {
			return 0, firstError(err, unix.EINVAL)
		}
		read := moving(a.Long(3), d.Pread)
		return scatter(list, read, read)
	})
}

func sysPwritev(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		list, err := iovecs(t, a[1], a.Int(2), false)
		if err != nil || a.Long(3) < 0 {
			return 0, firstError(err, unix.EINVAL)
		}
		return gather(list, moving(a.Long(3), pwriteTo(t, d)))
	})
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// rwfHints are flags of preadv2 and pwritev2 that ask for nothing we do otherwise.
const rwfHints = unix.RWF_HIPRI | unix.RWF_DSYNC | unix.RWF_SYNC

func sysPreadv2(t *kernel.Task, a Args) (uint64, error) {
	if a.Int(5)&^(rwfHints|unix.RWF_NOWAIT) != 0 {
		return 0, unix.EOPNOTSUPP
	}
	if a.Int(5)&unix.RWF_NOWAIT != 0 {
		if err := mustWait(t, a.Int(0)); err != nil {
			return 0, err
		}
	}
	if a.Long(3) == -1 {
		return sysReadv(t, a)
	}
	return sysPreadv(t, a)
}

// mustWait is EAGAIN if a read would wait, as it does of pipes and the like.
func mustWait(t *kernel.Task, fd int) error {
	_, err := withFile(t, fd, func(d *vfs.Description) (uint64, error) {
		if d.Ready()&(wait.In|wait.Hup|wait.Err) == 0 {
			return 0, unix.EAGAIN
		}
		return 0, nil
	})
	return err
}

func sysPwritev2(t *kernel.Task, a Args) (uint64, error) {
	switch flags := a.Int(5); {
	case flags&^(rwfHints|unix.RWF_APPEND) != 0:
		return 0, unix.EOPNOTSUPP
	case flags&unix.RWF_APPEND != 0:
		return appendv(t, a)
	case a.Long(3) == -1:
		return sysWritev(t, a)
	}
	return sysPwritev(t, a)
}

// appendv is pwritev2 with RWF_APPEND: the position only says whether the
// file's offset moves.
func appendv(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		list, err := iovecs(t, a[1], a.Int(2), false)
		if err != nil || a.Long(3) < -1 {
			return 0, firstError(err, unix.EINVAL)
		}
		return gather(list, func(p []byte) (int, error) {
			attr, err := d.Stat()
			if err != nil {
				return 0, err
			}
			if p, err = cutToLimit(t, d, p, attr.Size); err != nil {
				return 0, err
			}
			return d.Append(p, a.Long(3) == -1)
		})
	})
}

func sysLseek(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		return count(d.Seek(a.Long(1), a.Int(2)))
	})
}
