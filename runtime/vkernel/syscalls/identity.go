package syscalls

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

func sysGetuid(t *kernel.Task, _ Args) (uint64, error)  { return uint64(t.Creds().UID), nil }
func sysGeteuid(t *kernel.Task, _ Args) (uint64, error) { return uint64(t.Creds().EUID), nil }
func sysGetgid(t *kernel.Task, _ Args) (uint64, error)  { return uint64(t.Creds().GID), nil }
func sysGetegid(t *kernel.Task, _ Args) (uint64, error) { return uint64(t.Creds().EGID), nil }

// putIDs writes ids to the addresses in args.
func putIDs(t *kernel.Task, a Args, ids ...uint32) (uint64, error) {
	for i, id := range ids {
		if err := mem(t).Store32(a[i], id); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func sysGetresuid(t *kernel.Task, a Args) (uint64, error) {
	c := t.Creds()
	return putIDs(t, a, c.UID, c.EUID, c.SUID)
}

func sysGetresgid(t *kernel.Task, a Args) (uint64, error) {
	c := t.Creds()
	return putIDs(t, a, c.GID, c.EGID, c.SGID)
}

// keep is the id that means "leave it".
const keepID = ^uint32(0)

// ids are the four ids of a kind, and whether the task may set any.
type ids struct {
	real, eff, saved, fs *uint32
	may                  bool
}

func users(c *kernel.Creds) ids {
	return ids{&c.UID, &c.EUID, &c.SUID, &c.FSUID, c.Has(unix.CAP_SETUID)}
}

func groups(c *kernel.Creds) ids {
	return ids{&c.GID, &c.EGID, &c.SGID, &c.FSGID, c.Has(unix.CAP_SETGID)}
}

// owns tells whether id is one of the ids the task has.
func (s ids) owns(id uint32) bool { return id == *s.real || id == *s.eff || id == *s.saved }

// change applies one of the set*id calls: set changes the ids of a copy, or
// refuses.
func change(t *kernel.Task, kind func(*kernel.Creds) ids, set func(ids) error) (uint64, error) {
	var err error
	n := t.Creds().With(func(c *kernel.Creds) {
		s := kind(c)
		if err = set(s); err == nil {
			*s.fs = *s.eff
		}
	})
	if err == nil {
		t.SetCreds(n)
	}
	return ok(err)
}

// setID is setuid and setgid.
func setID(kind func(*kernel.Creds) ids) Func {
	return func(t *kernel.Task, a Args) (uint64, error) {
		id := a.Uint(0)
		return change(t, kind, func(s ids) error {
			switch {
			case id == keepID:
				return unix.EINVAL
			case s.may:
				*s.real, *s.saved = id, id
			case id != *s.real && id != *s.saved:
				return unix.EPERM
			}
			*s.eff = id
			return nil
		})
	}
}

// setReID is setreuid and setregid.
func setReID(kind func(*kernel.Creds) ids) Func {
	return func(t *kernel.Task, a Args) (uint64, error) {
		real, eff := a.Uint(0), a.Uint(1)
		return change(t, kind, func(s ids) error {
			oldReal := *s.real
			if !s.may && (real != keepID && real != *s.real && real != *s.eff || eff != keepID && !s.owns(eff)) {
				return unix.EPERM
			}
			if real != keepID {
				*s.real = real
			}
			if eff != keepID {
				*s.eff = eff
			}
			if real != keepID || eff != keepID && eff != oldReal {
				*s.saved = *s.eff
			}
			return nil
		})
	}
}

// setResID is setresuid and setresgid.
func setResID(kind func(*kernel.Creds) ids) Func {
	return func(t *kernel.Task, a Args) (uint64, error) {
		return change(t, kind, func(s ids) error {
			old := s
			for i := range 3 {
				if id := a.Uint(i); id != keepID && !s.may && !old.owns(id) {
					return unix.EPERM
				}
			}
			for i, field := range []*uint32{s.real, s.eff, s.saved} {
				if id := a.Uint(i); id != keepID {
					*field = id
				}
			}
			return nil
		})
	}
}

// setFSID is setfsuid and setfsgid, which give the old id and never fail.
func setFSID(kind func(*kernel.Creds) ids) Func {
	return func(t *kernel.Task, a Args) (uint64, error) {
		var old uint32
		n := t.Creds().With(func(c *kernel.Creds) {
			s := kind(c)
			old = *s.fs
			if id := a.Uint(0); id != keepID && (s.may || s.owns(id) || id == old) {
				*s.fs = id
			}
		})
		t.SetCreds(n)
		return uint64(old), nil
	}
}

func sysGetgroups(t *kernel.Task, a Args) (uint64, error) {
	list := t.Creds().Groups
	switch size := a.Int(0); {
	case size == 0:
		return uint64(len(list)), nil
	case size < len(list):
		return 0, unix.EINVAL
	}
	var b []byte
	for _, g := range list {
		b = binary.LittleEndian.AppendUint32(b, g)
	}
	return uint64(len(list)), mem(t).CopyOut(a[1], b)
}

// maxGroups is NGROUPS_MAX.
const maxGroups = 65536

func sysSetgroups(t *kernel.Task, a Args) (uint64, error) {
	if !t.Creds().Has(unix.CAP_SETGID) {
		return 0, unix.EPERM
	}
	if a.Uint(0) > maxGroups {
		return 0, unix.EINVAL
	}
	raw := make([]byte, 4*a.Uint(0))
	if err := mem(t).CopyIn(a[1], raw); err != nil {
		return 0, err
	}
	var list []uint32
	for ; len(raw) > 0; raw = raw[4:] {
		list = append(list, binary.LittleEndian.Uint32(raw))
	}
	slices.Sort(list) // as getgroups shows
	t.SetCreds(t.Creds().With(func(c *kernel.Creds) { c.Groups = list }))
	return 0, nil
}

// capWords is the number of 32-bit words per set, which the version in a
// header of capget and capset decides.
func capWords(t *kernel.Task, header uint64) (int, error) {
	version, err := mem(t).Load32(header)
	if err != nil {
		return 0, err
	}
	switch version {
	case unix.LINUX_CAPABILITY_VERSION_1:
		return 1, nil
	case unix.LINUX_CAPABILITY_VERSION_2, unix.LINUX_CAPABILITY_VERSION_3:
		return 2, nil
	}
	if err := mem(t).Store32(header, unix.LINUX_CAPABILITY_VERSION_3); err != nil {
		return 0, err
	}
	return 0, unix.EINVAL
}

// capPid is the thread that a header of capget and capset means.
func capPid(t *kernel.Task, header uint64) (int, error) {
	pid, err := mem(t).Load32(header + 4)
	return int(int32(pid)), err
}

func sysCapget(t *kernel.Task, a Args) (uint64, error) {
	words, err := capWords(t, a[0])
	if a[1] == 0 && (err == nil || err == unix.EINVAL) {
		return 0, nil // a query for the version
	}
	if err != nil {
		return 0, err
	}
	pid, err := capPid(t, a[0])
	if err != nil {
		return 0, err
	}
	other, err := scheduled(t, pid)
	if err != nil {
		return 0, err
	}
	c := other.Creds()
	var b []byte
	for i := range words {
		for _, set := range []uint64{c.Effective, c.Permitted, c.Inheritable} {
			b = binary.LittleEndian.AppendUint32(b, uint32(set>>(32*i)))
		}
	}
	return ok(mem(t).CopyOut(a[1], b))
}

func sysCapset(t *kernel.Task, a Args) (uint64, error) {
	words, err := capWords(t, a[0])
	if err != nil {
		return 0, err
	}
	switch pid, err := capPid(t, a[0]); {
	case err != nil:
		return 0, err
	case pid != 0 && pid != t.TID: // no thread sets another's
		return 0, unix.EPERM
	}
	raw := make([]byte, 12*words)
	if err := mem(t).CopyIn(a[1], raw); err != nil {
		return 0, err
	}
	var sets [3]uint64
	for i := range 3 * words {
		sets[i%3] |= uint64(binary.LittleEndian.Uint32(raw[4*i:])) << (32 * (i / 3))
	}
	return ok(t.SetCaps(sets[0], sets[1], sets[2]))
}
