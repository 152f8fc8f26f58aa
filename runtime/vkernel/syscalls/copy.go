package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// copyChunk is how much is moved at a time, bytes.
const copyChunk = 128 << 10

// position is the place in a file that sendfile and its kin work at: the
// guest's variable, or the file's offset.
type position struct {
	t    *kernel.Task
	d    *vfs.Description
	addr uint64 // of the variable, 0 for the file's offset
	off  int64
}

func newPosition(t *kernel.Task, d *vfs.Description, addr uint64) (*position, error) {
	p := &position{t: t, d: d, addr: addr}
	if addr == 0 {
		var err error
		p.off, err = d.Seek(0, unix.SEEK_CUR)
		return p, err
	}
	v, err := mem(t).Load64(addr)
	p.off = int64(v)
	if err == nil && p.off < 0 {
		err = unix.EINVAL
	}
	return p, err
}

// store writes the position back.
func (p *position) store() error {
	if p.addr != 0 {
		return mem(p.t).Store64(p.addr, uint64(p.off))
	}
	_, err := p.d.Seek(p.off, unix.SEEK_SET)
	return err
}

// transfer moves n bytes from read to write. What was moved before an error
// counts. moved is told of each piece that was written.
func transfer(n uint64, read, write func(p []byte) (int, error), moved func(n int)) (uint64, error) {
	buf := make([]byte, min(n, copyChunk))
	var total uint64
	for total < n {
		got, err := read(buf[:min(uint64(len(buf)), n-total)])
		if got == 0 || err != nil {
			return total, keep(total, err)
		}
		done, err := write(buf[:got])
		total += uint64(done)
		moved(done)
		if err != nil || done < got {
			return total, keep(total, err)
		}
	}
	return total, nil
}

// keep drops an error when something was done before it.
func keep(done uint64, err error) error {
	if done > 0 {
		return nil
	}
	return err
}

func sysSendfile(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(out *vfs.Description) (uint64, error) {
		return withFile(t, a.Int(1), func(in *vfs.Description) (uint64, error) {
			if !out.Writable() {
				return 0, unix.EBADF
			}
			if out.Flags()&unix.O_APPEND != 0 {
				return 0, unix.EINVAL
			}
			pos, err := newPosition(t, in, a[2])
			if err == unix.ESPIPE {
				err = unix.EINVAL
			}
			if err != nil {
				return 0, err
			}
			n, err := transfer(min(a[3], vfs.MaxRW), func(p []byte) (int, error) { return in.Pread(p, pos.off) },
				func(p []byte) (int, error) { return writeTo(t, out, p) }, func(n int) { pos.off += int64(n) })
			return n, firstError(err, pos.store())
		})
	})
}

func sysCopyFileRange(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(in *vfs.Description) (uint64, error) {
		return withFile(t, a.Int(2), func(out *vfs.Description) (uint64, error) {
			if err := mayCopyRange(in, out, a.Uint(5)); err != nil {
				return 0, err
			}
			from, err := newPosition(t, in, a[1])
			if err != nil {
				return 0, err
			}
			to, err := newPosition(t, out, a[3])
			if err != nil {
				return 0, err
			}
			size, err := left(in, from.off, min(a[4], vfs.MaxRW))
			if err != nil {
				return 0, err
			}
			if in.Inode() == out.Inode() && from.off < to.off+int64(size) && to.off < from.off+int64(size) {
				return 0, unix.EINVAL // they overlap
			}
			n, err := transfer(size, func(p []byte) (int, error) { return in.Pread(p, from.off) },
				func(p []byte) (int, error) { return pwriteTo(t, out)(p, to.off) },
				func(n int) { from.off += int64(n); to.off += int64(n) })
			return n, firstError(err, from.store(), to.store())
		})
	})
}

// left is n, or what there is of d from off on if that is less.
func left(d *vfs.Description, off int64, n uint64) (uint64, error) {
	a, err := d.Stat()
	return min(n, uint64(max(a.Size-off, 0))), err
}

// mayCopyRange checks what copy_file_range demands of its files.
func mayCopyRange(in, out *vfs.Description, flags uint32) error {
	if flags != 0 {
		return unix.EINVAL
	}
	for _, d := range []*vfs.Description{in, out} {
		attr, err := d.Stat()
		switch {
		case err != nil:
			return err
		case attr.IsDir():
			return unix.EISDIR
		case attr.Type() != unix.S_IFREG:
			return unix.EINVAL
		}
	}
	if !in.Readable() || !out.Writable() || out.Flags()&unix.O_APPEND != 0 {
		return unix.EBADF
	}
	return nil
}
