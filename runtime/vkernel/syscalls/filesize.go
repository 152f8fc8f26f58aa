package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// atOffset has cutToLimit look at the file's own offset.
const atOffset = -1

// cutToLimit is as much of p as RLIMIT_FSIZE lets a write to d at off have;
// EFBIG and SIGXFSZ if that is nothing.
func cutToLimit(t *kernel.Task, d *vfs.Description, p []byte, off int64) ([]byte, error) {
	limit, err := t.Group.Limits.Get(unix.RLIMIT_FSIZE)
	if err != nil || limit.Cur == kernel.Infinity || len(p) == 0 {
		return p, err
	}
	a, err := d.Stat()
	if err != nil || a.Type() != unix.S_IFREG {
		return p, err
	}
	switch {
	case d.Flags()&linux.O_APPEND != 0:
		off = a.Size
	case off == atOffset:
		off = d.Offset()
	}
	if uint64(off) >= limit.Cur {
		return nil, tooLarge(t)
	}
	return p[:min(uint64(len(p)), limit.Cur-uint64(off))], nil
}

func tooLarge(t *kernel.Task) error {
	t.Send(kernel.SigInfo{Signo: unix.SIGXFSZ, Code: kernel.SiUser, PID: int32(t.PID())})
	return unix.EFBIG
}

// mayGrow checks a file's new size, if it is larger than the one it has.
func mayGrow(t *kernel.Task, a linux.Attr, size int64) error {
	limit, err := t.Group.Limits.Get(unix.RLIMIT_FSIZE)
	if err == nil && size > a.Size && uint64(size) > limit.Cur && a.Type() == unix.S_IFREG {
		return tooLarge(t)
	}
	return err
}

// mayGrowFile is mayGrow of an open file.
func mayGrowFile(t *kernel.Task, d *vfs.Description, size int64) error {
	a, err := d.Stat()
	if err != nil {
		return err
	}
	return mayGrow(t, a, size)
}

// pwriteTo is pwrite within RLIMIT_FSIZE.
func pwriteTo(t *kernel.Task, d *vfs.Description) func(p []byte, off int64) (int, error) {
	return func(p []byte, off int64) (int, error) {
		p, err := cutToLimit(t, d, p, off)
		if err != nil {
			return 0, err
		}
		return d.Pwrite(p, off)
	}
}
