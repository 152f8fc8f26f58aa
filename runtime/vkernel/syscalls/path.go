package syscalls

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// stat is all of the stat family: attributes of a place.
func stat(t *kernel.Task, dirfd int, addr uint64, flags int) (linux.Attr, error) {
	p, err := placeArg(t, dirfd, addr, flags)
	if err != nil {
		return linux.Attr{}, err
	}
	if p.path == "" && flags&unix.AT_EMPTY_PATH != 0 && p.at.Ok() {
		return p.at.Stat()
	}
	return t.Caller().Stat(p.at, p.path, flags)
}

func putStat(t *kernel.Task, addr uint64, a linux.Attr, err error) (uint64, error) {
	return copyOut(t, addr, a.AppendStat(nil), err)
}

func sysStat(t *kernel.Task, a Args) (uint64, error) {
	attr, err := stat(t, unix.AT_FDCWD, a[0], 0)
	return putStat(t, a[1], attr, err)
}

func sysLstat(t *kernel.Task, a Args) (uint64, error) {
	attr, err := stat(t, unix.AT_FDCWD, a[0], unix.AT_SYMLINK_NOFOLLOW)
	return putStat(t, a[1], attr, err)
}

func sysFstat(t *kernel.Task, a Args) (uint64, error) {
	return withAny(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		attr, err := d.Stat()
		return putStat(t, a[1], attr, err)
	})
}

const statFlags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_EMPTY_PATH

func sysNewfstatat(t *kernel.Task, a Args) (uint64, error) {
	if a.Int(3)&^statFlags != 0 {
		return 0, unix.EINVAL
	}
	attr, err := stat(t, a.Int(0), a[1], a.Int(3))
	return putStat(t, a[2], attr, err)
}

func sysStatx(t *kernel.Task, a Args) (uint64, error) {
	const sync = unix.AT_STATX_FORCE_SYNC | unix.AT_STATX_DONT_SYNC
	flags := a.Int(2)
	if flags&^(statFlags|sync) != 0 || flags&sync == sync || a.Uint(3)&unix.STATX__RESERVED != 0 {
		return 0, unix.EINVAL
	}
	attr, err := stat(t, a.Int(0), a[1], flags)
	return copyOut(t, a[4], attr.AppendStatx(nil, a.Uint(3)), err)
}

func sysStatfs(t *kernel.Task, a Args) (uint64, error) {
	path, err := pathArg(t, a[0])
	if err != nil {
		return 0, err
	}
	s, err := t.Caller().Statfs(path)
	return copyOut(t, a[1], s.Append(nil), err)
}

func sysFstatfs(t *kernel.Task, a Args) (uint64, error) {
	return withAny(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		s, err := d.Path().Statfs()
		return copyOut(t, a[1], s.Append(nil), err)
	})
}

func faccessat(t *kernel.Task, dirfd int, addr uint64, mode uint32, flags int) (uint64, error) {
	if mode&^7 != 0 || flags&^(unix.AT_EACCESS|unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, unix.EINVAL
	}
	p, err := placeArg(t, dirfd, addr, flags)
	if err != nil {
		return 0, err
	}
	return ok(t.Caller().Access(p.at, p.path, vfs.Perm(mode), flags))
}

func sysAccess(t *kernel.Task, a Args) (uint64, error) {
	return faccessat(t, unix.AT_FDCWD, a[0], a.Uint(1), 0)
}

func sysFaccessat(t *kernel.Task, a Args) (uint64, error) {
	return faccessat(t, a.Int(0), a[1], a.Uint(2), 0)
}

func sysFaccessat2(t *kernel.Task, a Args) (uint64, error) {
	return faccessat(t, a.Int(0), a[1], a.Uint(2), a.Int(3))
}

func readlinkat(t *kernel.Task, dirfd int, addr, buf uint64, size int) (uint64, error) {
	if size <= 0 {
		return 0, unix.EINVAL
	}
	p, err := placeArg(t, dirfd, addr, 0)
	if err != nil {
		return 0, err
	}
	target, err := t.Caller().Readlink(p.at, p.path)
	if err != nil {
		return 0, err
	}
	n := min(size, len(target))
	return uint64(n), mem(t).CopyOut(buf, []byte(target[:n]))
}

func sysReadlink(t *kernel.Task, a Args) (uint64, error) {
	return readlinkat(t, unix.AT_FDCWD, a[0], a[1], a.Int(2))
}

func sysReadlinkat(t *kernel.Task, a Args) (uint64, error) {
	return readlinkat(t, a.Int(0), a[1], a[2], a.Int(3))
}

func chmodat(t *kernel.Task, dirfd int, addr uint64, mode uint32, flags int) (uint64, error) {
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, unix.EINVAL
	}
	p, err := placeArg(t, dirfd, addr, flags)
	if err != nil {
		return 0, err
	}
	return ok(t.Caller().Chmod(p.at, p.path, mode, flags))
}

func sysChmod(t *kernel.Task, a Args) (uint64, error) {
	return chmodat(t, unix.AT_FDCWD, a[0], a.Mode(1), 0)
}

func sysFchmodat(t *kernel.Task, a Args) (uint64, error) {
	return chmodat(t, a.Int(0), a[1], a.Mode(2), 0)
}

func sysFchmodat2(t *kernel.Task, a Args) (uint64, error) {
	return chmodat(t, a.Int(0), a[1], a.Mode(2), a.Int(3))
}

func sysFchmod(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		return ok(t.Caller().Chmod(d.Path(), "", a.Mode(1), unix.AT_EMPTY_PATH))
	})
}

func chownat(t *kernel.Task, dirfd int, addr uint64, uid, gid uint32, flags int) (uint64, error) {
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, unix.EINVAL
	}
	p, err := placeArg(t, dirfd, addr, flags)
	if err != nil {
		return 0, err
	}
	return ok(t.Caller().Chown(p.at, p.path, uid, gid, flags))
}

func sysChown(t *kernel.Task, a Args) (uint64, error) {
	return chownat(t, unix.AT_FDCWD, a[0], a.Uint(1), a.Uint(2), 0)
}

func sysLchown(t *kernel.Task, a Args) (uint64, error) {
	return chownat(t, unix.AT_FDCWD, a[0], a.Uint(1), a.Uint(2), unix.AT_SYMLINK_NOFOLLOW)
}

func sysFchownat(t *kernel.Task, a Args) (uint64, error) {
	return chownat(t, a.Int(0), a[1], a.Uint(2), a.Uint(3), a.Int(4))
}

func sysFchown(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		return ok(t.Caller().Chown(d.Path(), "", a.Uint(1), a.Uint(2), unix.AT_EMPTY_PATH))
	})
}

// times reads two times of the guest, of which unit is the smaller part in
// nanoseconds: timespec or timeval. NULL is nil: now.
func times(t *kernel.Task, addr uint64, unit int64) (*[2]linux.Timespec, error) {
	if addr == 0 {
		return nil, nil
	}
	raw := make([]byte, 32)
	if err := mem(t).CopyIn(addr, raw); err != nil {
		return nil, err
	}
	list := [2]linux.Timespec{linux.ParseTimespec(raw), linux.ParseTimespec(raw[16:])}
	for i := range list {
		special := unit == 1 && (list[i].Nsec == unix.UTIME_NOW || list[i].Nsec == unix.UTIME_OMIT)
		if !special && (list[i].Nsec < 0 || list[i].Nsec >= 1e9/unit) {
			return nil, unix.EINVAL
		}
		list[i].Nsec *= unit
	}
	return &list, nil
}

func utimens(t *kernel.Task, dirfd int, addr uint64, list *[2]linux.Timespec, flags int) (uint64, error) {
	if addr == 0 && dirfd != unix.AT_FDCWD {
		return withFile(t, dirfd, func(d *vfs.Description) (uint64, error) {
			return ok(t.Caller().Utimens(d.Path(), "", list, unix.AT_EMPTY_PATH))
		})
	}
	p, err := placeArg(t, dirfd, addr, flags)
	if err != nil {
		return 0, err
	}
	return ok(t.Caller().Utimens(p.at, p.path, list, flags))
}

func sysUtimensat(t *kernel.Task, a Args) (uint64, error) {
	if a.Int(3)&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, unix.EINVAL
	}
	list, err := times(t, a[2], 1)
	if err != nil {
		return 0, err
	}
	return utimens(t, a.Int(0), a[1], list, a.Int(3))
}

func sysFutimesat(t *kernel.Task, a Args) (uint64, error) {
	list, err := times(t, a[2], 1000)
	if err != nil {
		return 0, err
	}
	return utimens(t, a.Int(0), a[1], list, 0)
}

func sysUtimes(t *kernel.Task, a Args) (uint64, error) {
	list, err := times(t, a[1], 1000)
	if err != nil {
		return 0, err
	}
	return utimens(t, unix.AT_FDCWD, a[0], list, 0)
}

func sysUtime(t *kernel.Task, a Args) (uint64, error) {
	var list *[2]linux.Timespec
	if a[1] != 0 {
		var raw [16]byte
		if err := mem(t).CopyIn(a[1], raw[:]); err != nil {
			return 0, err
		}
		le := binary.LittleEndian
		list = &[2]linux.Timespec{{Sec: int64(le.Uint64(raw[:]))}, {Sec: int64(le.Uint64(raw[8:]))}}
	}
	return utimens(t, unix.AT_FDCWD, a[0], list, 0)
}

func sysTruncate(t *kernel.Task, a Args) (uint64, error) {
	path, err := pathArg(t, a[0])
	if err != nil {
		return 0, err
	}
	if a.Long(1) < 0 {
		return 0, unix.EINVAL
	}
	attr, err := t.Caller().Stat(vfs.Path{}, path, 0)
	if err != nil {
		return 0, err
	}
	if err := mayGrow(t, attr, a.Long(1)); err != nil {
		return 0, err
	}
	return ok(t.Caller().Truncate(path, a.Long(1)))
}

func sysFtruncate(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		if err := mayGrowFile(t, d, a.Long(1)); err != nil {
			return 0, err
		}
		return ok(d.Truncate(a.Long(1)))
	})
}

func sysFallocate(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		if end := a.Long(2) + a.Long(3); a.Uint(1)&unix.FALLOC_FL_KEEP_SIZE == 0 && end > a.Long(2) {
			if err := mayGrowFile(t, d, end); err != nil {
				return 0, err
			}
		}
		return ok(d.Allocate(a.Uint(1), a.Long(2), a.Long(3)))
	})
}

func sysFadvise64(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		if isPipe(d) {
			return 0, unix.ESPIPE
		}
		if a.Long(2) < 0 || a.Uint(3) > unix.FADV_NOREUSE {
			return 0, unix.EINVAL
		}
		return 0, nil
	})
}

func sysReadahead(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		if !d.Readable() {
			return 0, unix.EBADF
		}
		if isPipe(d) {
			return 0, unix.EINVAL
		}
		return 0, nil
	})
}

func sysFsync(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) { return ok(d.Sync()) })
}

func sysSyncfs(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(*vfs.Description) (uint64, error) { return 0, nil })
}

const syncFileRangeFlags = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER

func sysSyncFileRange(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		if off, n := a.Long(1), a.Long(2); off < 0 || n < 0 || off+n < off || a.Uint(3)&^syncFileRangeFlags != 0 {
			return 0, unix.EINVAL
		}
		if isPipe(d) {
			return 0, unix.ESPIPE
		}
		return 0, nil
	})
}

func sysSync(*kernel.Task, Args) (uint64, error) { return 0, nil }
