package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

func linkat(t *kernel.Task, oldfd int, old uint64, newfd int, new uint64, flags int) (uint64, error) {
	if flags&^(unix.AT_SYMLINK_FOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, unix.EINVAL
	}
	from, err := placeArg(t, oldfd, old, flags)
	if err != nil {
		return 0, err
	}
	to, err := placeArg(t, newfd, new, 0)
	if err != nil {
		return 0, err
	}
	return ok(t.Caller().Link(from.at, from.path, to.at, to.path, flags))
}

func sysLink(t *kernel.Task, a Args) (uint64, error) {
	return linkat(t, unix.AT_FDCWD, a[0], unix.AT_FDCWD, a[1], 0)
}

func sysLinkat(t *kernel.Task, a Args) (uint64, error) {
	return linkat(t, a.Int(0), a[1], a.Int(2), a[3], a.Int(4))
}

func symlinkat(t *kernel.Task, target uint64, dirfd int, addr uint64) (uint64, error) {
	text, err := pathArg(t, target)
	if err != nil {
		return 0, err
	}
	p, err := placeArg(t, dirfd, addr, 0)
	if err != nil {
		return 0, err
	}
	return ok(t.Caller().Symlink(text, p.at, p.path))
}

func sysSymlink(t *kernel.Task, a Args) (uint64, error) {
	return symlinkat(t, a[0], unix.AT_FDCWD, a[1])
}

func sysSymlinkat(t *kernel.Task, a Args) (uint64, error) {
	return symlinkat(t, a[0], a.Int(1), a[2])
}

func unlinkat(t *kernel.Task, dirfd int, addr uint64, flags int) (uint64, error) {
	if flags&^unix.AT_REMOVEDIR != 0 {
		return 0, unix.EINVAL
	}
	p, err := placeArg(t, dirfd, addr, 0)
	if err != nil {
		return 0, err
	}
	return ok(t.Caller().Unlink(p.at, p.path, flags))
}

func sysUnlink(t *kernel.Task, a Args) (uint64, error) { return unlinkat(t, unix.AT_FDCWD, a[0], 0) }

func sysRmdir(t *kernel.Task, a Args) (uint64, error) {
	return unlinkat(t, unix.AT_FDCWD, a[0], unix.AT_REMOVEDIR)
}

func sysUnlinkat(t *kernel.Task, a Args) (uint64, error) {
	return unlinkat(t, a.Int(0), a[1], a.Int(2))
}

func renameat(t *kernel.Task, oldfd int, old uint64, newfd int, new uint64, flags uint32) (uint64, error) {
	from, err := placeArg(t, oldfd, old, 0)
	if err != nil {
		return 0, err
	}
	to, err := placeArg(t, newfd, new, 0)
	if err != nil {
		return 0, err
	}
	return ok(t.Caller().Rename(from.at, from.path, to.at, to.path, flags))
}

func sysRename(t *kernel.Task, a Args) (uint64, error) {
	return renameat(t, unix.AT_FDCWD, a[0], unix.AT_FDCWD, a[1], 0)
}

func sysRenameat(t *kernel.Task, a Args) (uint64, error) {
	return renameat(t, a.Int(0), a[1], a.Int(2), a[3], 0)
}

func sysRenameat2(t *kernel.Task, a Args) (uint64, error) {
	return renameat(t, a.Int(0), a[1], a.Int(2), a[3], a.Uint(4))
}

func mkdirat(t *kernel.Task, dirfd int, addr uint64, mode uint32) (uint64, error) {
	p, err := placeArg(t, dirfd, addr, 0)
	if err != nil {
		return 0, err
	}
	return ok(t.Caller().Mkdir(p.at, p.path, mode))
}

func sysMkdir(t *kernel.Task, a Args) (uint64, error) {
	return mkdirat(t, unix.AT_FDCWD, a[0], a.Mode(1))
}

func sysMkdirat(t *kernel.Task, a Args) (uint64, error) {
	return mkdirat(t, a.Int(0), a[1], a.Mode(2))
}

func mknodat(t *kernel.Task, dirfd int, addr uint64, mode uint32, dev uint32) (uint64, error) {
	p, err := placeArg(t, dirfd, addr, 0)
	if err != nil {
		return 0, err
	}
	return ok(t.Caller().Mknod(p.at, p.path, mode, uint64(dev)))
}

func sysMknod(t *kernel.Task, a Args) (uint64, error) {
	return mknodat(t, unix.AT_FDCWD, a[0], a.Mode(1), a.Uint(2))
}

func sysMknodat(t *kernel.Task, a Args) (uint64, error) {
	return mknodat(t, a.Int(0), a[1], a.Mode(2), a.Uint(3))
}

func sysUmask(t *kernel.Task, a Args) (uint64, error) {
	return uint64(t.FS.SetUmask(a.Uint(0))), nil
}

func sysChdir(t *kernel.Task, a Args) (uint64, error) {
	path, err := pathArg(t, a[0])
	if err != nil {
		return 0, err
	}
	return ok(t.Caller().Chdir(vfs.Path{}, path))
}

func sysFchdir(t *kernel.Task, a Args) (uint64, error) {
	return withAny(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		return ok(t.Caller().Chdir(d.Path(), ""))
	})
}

func sysChroot(t *kernel.Task, a Args) (uint64, error) {
	path, err := pathArg(t, a[0])
	if err != nil {
		return 0, err
	}
	return ok(t.Caller().Chroot(path))
}

func sysGetcwd(t *kernel.Task, a Args) (uint64, error) {
	path, err := t.Caller().Getcwd()
	if err != nil {
		return 0, err
	}
	if uint64(len(path)+1) > a[1] {
		return 0, unix.ERANGE
	}
	return uint64(len(path) + 1), mem(t).CopyOut(a[0], append([]byte(path), 0))
}

// getdents fills the guest's buffer with records that size and add make.
func getdents(t *kernel.Task, a Args, size func(*linux.Dirent) int, add func(*linux.Dirent, []byte) []byte) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		var out []byte
		room, short := int(min(a.Uint(2), 1<<20)), false
		err := d.ReadDir(func(e linux.Dirent) bool {
			if len(out)+size(&e) > room {
				short = len(out) == 0
				return false
			}
			out = add(&e, out)
			return true
		})
		if err == nil && short {
			err = unix.EINVAL
		}
		if err != nil {
			return 0, err
		}
		return uint64(len(out)), mem(t).CopyOut(a[1], out)
	})
}

func sysGetdents(t *kernel.Task, a Args) (uint64, error) {
	return getdents(t, a, (*linux.Dirent).SizeOld, (*linux.Dirent).AppendOld)
}

func sysGetdents64(t *kernel.Task, a Args) (uint64, error) {
	return getdents(t, a, (*linux.Dirent).Size, (*linux.Dirent).Append)
}
