package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/event"
	"github.com/megabin/megabin/runtime/vkernel/inotify"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

func inotifyInit(t *kernel.Task, flags int) (uint64, error) {
	if flags&^(linux.O_CLOEXEC|linux.O_NONBLOCK) != 0 {
		return 0, unix.EINVAL
	}
	d := t.K.NS.System().NewAnon(inotify.New(), event.Inode{}, "anon_inode:inotify", linux.O_RDONLY|flags&linux.O_NONBLOCK)
	return install(t, d, flags&linux.O_CLOEXEC != 0)
}

func sysInotifyInit(t *kernel.Task, _ Args) (uint64, error)  { return inotifyInit(t, 0) }
func sysInotifyInit1(t *kernel.Task, a Args) (uint64, error) { return inotifyInit(t, a.Int(0)) }

// withInotify calls f with the instance of a descriptor.
func withInotify(t *kernel.Task, fd int, f func(*inotify.Instance) (uint64, error)) (uint64, error) {
	return withFile(t, fd, func(d *vfs.Description) (uint64, error) {
		i, isInotify := d.File().(*inotify.Instance)
		if !isInotify {
			return 0, unix.EINVAL
		}
		return f(i)
	})
}

// watchBits are those of a watch's mask that mean something.
const watchBits = unix.IN_ALL_EVENTS | unix.IN_ONLYDIR | unix.IN_DONT_FOLLOW | unix.IN_EXCL_UNLINK | unix.IN_MASK_ADD | unix.IN_MASK_CREATE | unix.IN_ONESHOT

func sysInotifyAddWatch(t *kernel.Task, a Args) (uint64, error) {
	mask := a.Uint(2)
	if mask&watchBits == 0 {
		return 0, unix.EINVAL
	}
	return withInotify(t, a.Int(0), func(i *inotify.Instance) (uint64, error) {
		path, err := pathArg(t, a[1])
		if err != nil {
			return 0, err
		}
		c, flags := t.Caller(), 0
		if mask&unix.IN_DONT_FOLLOW != 0 {
			flags = unix.AT_SYMLINK_NOFOLLOW
		}
		p, err := c.Resolve(vfs.Path{}, path, flags)
		if err != nil {
			return 0, err
		}
		if _, isDir := p.Inode().(vfs.Dir); !isDir && mask&unix.IN_ONLYDIR != 0 {
			return 0, unix.ENOTDIR
		}
		if err := c.Permit(p, vfs.Read); err != nil {
			return 0, err
		}
		return count(i.Add(p, mask))
	})
}

func sysInotifyRmWatch(t *kernel.Task, a Args) (uint64, error) {
	return withInotify(t, a.Int(0), func(i *inotify.Instance) (uint64, error) { return ok(i.Remove(int32(a.Int(1)))) })
}
