package syscalls

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// target is what an xattr call is about: by path, by path without following
// a link, or by descriptor.
type target func(t *kernel.Task, arg uint64, f func(p place, flags int) (uint64, error)) (uint64, error)

func byPath(flags int) target {
	return func(t *kernel.Task, arg uint64, f func(place, int) (uint64, error)) (uint64, error) {
		path, err := pathArg(t, arg)
		if err != nil {
			return 0, err
		}
		return f(place{path: path}, flags)
	}
}

func byFD(t *kernel.Task, arg uint64, f func(place, int) (uint64, error)) (uint64, error) {
	return withFile(t, int(int32(arg)), func(d *vfs.Description) (uint64, error) {
		return f(place{at: d.Path()}, unix.AT_EMPTY_PATH)
	})
}

var (
	followed = byPath(0)
	itself   = byPath(unix.AT_SYMLINK_NOFOLLOW)
)

// xattrName reads an attribute's name: ERANGE if it is empty or too long.
func xattrName(t *kernel.Task, addr uint64) (string, error) {
	name, err := mem(t).CString(addr, linux.XattrNames+1)
	if err == unix.ENAMETOOLONG || err == nil && name == "" {
		return "", unix.ERANGE
	}
	return name, err
}

// answer gives b to a buffer of the guest; size 0 asks for the length only.
func answer(t *kernel.Task, b []byte, err error, addr, size uint64) (uint64, error) {
	switch {
	case err != nil:
		return 0, err
	case size == 0:
		return uint64(len(b)), nil
	case uint64(len(b)) > size:
		return 0, unix.ERANGE
	}
	return uint64(len(b)), mem(t).CopyOut(addr, b)
}

func getxattr(of target) Func {
	return func(t *kernel.Task, a Args) (uint64, error) {
		name, err := xattrName(t, a[1])
		if err != nil {
			return 0, err
		}
		return of(t, a[0], func(p place, flags int) (uint64, error) {
			value, err := t.Caller().Getxattr(p.at, p.path, name, flags)
			return answer(t, value, err, a[2], a[3])
		})
	}
}

func setxattr(of target) Func {
	return func(t *kernel.Task, a Args) (uint64, error) {
		name, err := xattrName(t, a[1])
		if err != nil {
			return 0, err
		}
		if a[3] > linux.XattrSize {
			return 0, unix.E2BIG
		}
		value := make([]byte, a[3])
		if err := mem(t).CopyIn(a[2], value); err != nil {
			return 0, err
		}
		return of(t, a[0], func(p place, flags int) (uint64, error) {
			return ok(t.Caller().Setxattr(p.at, p.path, name, value, a.Int(4), flags))
		})
	}
}

func listxattr(of target) Func {
	return func(t *kernel.Task, a Args) (uint64, error) {
		return of(t, a[0], func(p place, flags int) (uint64, error) {
			names, err := t.Caller().Listxattr(p.at, p.path, flags)
			text := ""
			if len(names) > 0 {
				text = strings.Join(names, "\x00") + "\x00"
			}
			return answer(t, []byte(text), err, a[1], a[2])
		})
	}
}

func removexattr(of target) Func {
	return func(t *kernel.Task, a Args) (uint64, error) {
		name, err := xattrName(t, a[1])
		if err != nil {
			return 0, err
		}
		return of(t, a[0], func(p place, flags int) (uint64, error) {
			return ok(t.Caller().Removexattr(p.at, p.path, name, flags))
		})
	}
}
