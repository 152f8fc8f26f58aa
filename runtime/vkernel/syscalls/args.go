package syscalls

import (
	"encoding/binary"
	"path"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Args are the six argument registers.
type Args [6]uint64

// Int is argument i as a C int.
func (a Args) Int(i int) int { return int(int32(a[i])) }

// Uint is argument i as an unsigned int.
func (a Args) Uint(i int) uint32 { return uint32(a[i]) }

// Long is argument i as a signed long.
func (a Args) Long(i int) int64 { return int64(a[i]) }

// Mode is argument i as an umode_t.
func (a Args) Mode(i int) uint32 { return uint32(uint16(a[i])) }

// ok is the result of a call that has no other than success.
func ok(err error) (uint64, error) { return 0, err }

// count is the result of a call that tells a number.
func count[T ~int | ~int64 | ~int32](n T, err error) (uint64, error) { return uint64(n), err }

// mem is the task's memory.
func mem(t *kernel.Task) *machine.AddressSpace { return t.MM.AS }

// copyOut writes a structure to the guest.
func copyOut(t *kernel.Task, addr uint64, b []byte, err error) (uint64, error) {
	if err != nil {
		return 0, err
	}
	return 0, mem(t).CopyOut(addr, b)
}

// pathArg reads a path.
func pathArg(t *kernel.Task, addr uint64) (string, error) {
	return mem(t).CString(addr, linux.PathMax)
}

// place is a path argument with the directory it starts from.
type place struct {
	at   vfs.Path
	path string
}

// placeArg reads a directory descriptor and a path. With AT_EMPTY_PATH in
// flags an empty path means the descriptor itself.
func placeArg(t *kernel.Task, dirfd int, addr uint64, flags int) (place, error) {
	p := place{}
	var err error
	if addr != 0 || flags&unix.AT_EMPTY_PATH == 0 {
		if p.path, err = pathArg(t, addr); err != nil {
			return p, err
		}
	}
	if path.IsAbs(p.path) {
		return p, nil
	}
	return p, p.startAt(t, dirfd)
}

// startAt sets the directory of a descriptor.
func (p *place) startAt(t *kernel.Task, dirfd int) error {
	if dirfd == unix.AT_FDCWD {
		return nil
	}
	d, err := t.FDs.Get(dirfd)
	if err != nil {
		return err
	}
	defer d.Unref()
	p.at = d.Path()
	return nil
}

// withFile calls f with the open file of a descriptor.
func withFile(t *kernel.Task, fd int, f func(d *vfs.Description) (uint64, error)) (uint64, error) {
	d, err := t.FDs.GetFile(fd)
	if err != nil {
		return 0, err
	}
	defer d.Unref()
	return f(d)
}

// withAny is withFile for calls that take O_PATH descriptors too.
func withAny(t *kernel.Task, fd int, f func(d *vfs.Description) (uint64, error)) (uint64, error) {
	d, err := t.FDs.Get(fd)
	if err != nil {
		return 0, err
	}
	defer d.Unref()
	return f(d)
}

// buffer is the guest's memory at addr, n bytes or as many as are mapped.
// EFAULT if not even the first is.
func buffer(t *kernel.Task, addr, n uint64, write bool) ([]byte, error) {
	n = min(n, vfs.MaxRW)
	if n == 0 {
		return nil, nil
	}
	b, err := mem(t).Slice(addr, n, write)
	if err == nil {
		return b, nil
	}
	prot := machine.ProtRead
	if write {
		prot = machine.ProtWrite
	}
	low, high := uint64(0), n // low bytes are mapped, high are not
	for high-low > 1 {
		if mid := low + (high-low)/2; mem(t).Mapped(addr, mid, prot) {
			low = mid
		} else {
			high = mid
		}
	}
	if low == 0 {
		return nil, unix.EFAULT
	}
	return mem(t).Slice(addr, low, write)
}

// extensible reads a structure of which size bytes are known, and the guest
// has n: E2BIG if it knows of more that matters.
func extensible(t *kernel.Task, addr, n uint64, size int) ([]byte, error) {
	switch {
	case n < uint64(size):
		return nil, unix.EINVAL
	case n > linux.PageSize:
		return nil, unix.E2BIG
	}
	raw := make([]byte, n)
	if err := mem(t).CopyIn(addr, raw); err != nil {
		return nil, err
	}
	for _, b := range raw[size:] {
		if b != 0 {
			return nil, unix.E2BIG
		}
	}
	return raw[:size], nil
}

// maxIovecs is UIO_MAXIOV.
const maxIovecs = 1024

// iovecs reads an array of struct iovec and gives the memory they name, cut
// to vfs.MaxRW bytes in all.
func iovecs(t *kernel.Task, addr uint64, n int, write bool) ([][]byte, error) {
	if n < 0 || n > maxIovecs {
		return nil, unix.EINVAL
	}
	raw := make([]byte, 16*n)
	if err := mem(t).CopyIn(addr, raw); err != nil {
		return nil, err
	}
	var list [][]byte
	left := uint64(vfs.MaxRW)
	for ; len(raw) > 0; raw = raw[16:] {
		base, length := binary.LittleEndian.Uint64(raw), binary.LittleEndian.Uint64(raw[8:])
		if int64(length) < 0 {
			return nil, unix.EINVAL
		}
		length = min(length, left)
		left -= length
		b, err := buffer(t, base, length, write)
		if err != nil {
			if len(list) > 0 {
				return list, nil
			}
			return nil, err
		}
		if len(b) > 0 {
			list = append(list, b)
		}
	}
	return list, nil
}

// strings reads a NULL-terminated array of strings (argv); NULL is empty.
func stringsArg(t *kernel.Task, addr uint64) ([]string, error) {
	var list []string
	for total := 0; addr != 0; addr += 8 {
		p, err := mem(t).Load64(addr)
		if err != nil {
			return nil, err
		}
		if p == 0 {
			break
		}
		s, err := mem(t).CString(p, maxArg)
		if err == unix.ENAMETOOLONG {
			return nil, unix.E2BIG
		}
		if err != nil {
			return nil, err
		}
		if total += len(s) + 9; total > maxArgs {
			return nil, unix.E2BIG
		}
		list = append(list, s)
	}
	return list, nil
}

// Limits of execve's strings, bytes.
const (
	maxArg  = 128 << 10
	maxArgs = 2 << 20
)

// guestMemory gives ioctls the guest's memory in the form the vfs wants.
type guestMemory struct {
	as *machine.AddressSpace
}

func (m guestMemory) CopyIn(dst []byte, addr uint64) error  { return m.as.CopyIn(addr, dst) }
func (m guestMemory) CopyOut(addr uint64, src []byte) error { return m.as.CopyOut(addr, src) }
