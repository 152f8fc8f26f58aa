package syscalls

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/event"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// uapi/linux/landlock.h; sizes in bytes.
const (
	landlockABI         = 3 // with LANDLOCK_ACCESS_FS_TRUNCATE
	landlockVersion     = 1 // LANDLOCK_CREATE_RULESET_VERSION
	rulesetAttrSize     = 8
	landlockPathBeneath = 1
	pathBeneathSize     = 12
)

func sysLandlockCreateRuleset(t *kernel.Task, a Args) (uint64, error) {
	if a.Uint(2) == landlockVersion && a[0] == 0 && a[1] == 0 {
		return landlockABI, nil
	}
	if a.Uint(2) != 0 {
		return 0, unix.EINVAL
	}
	raw, err := extensible(t, a[0], a[1], rulesetAttrSize)
	if err != nil {
		return 0, err
	}
	switch handled := vfs.Access(binary.LittleEndian.Uint64(raw)); {
	case handled&^vfs.AccessAll != 0:
		return 0, unix.EINVAL
	case handled == 0:
		return 0, unix.ENOMSG
	default:
		return anon(t, vfs.NewRuleset(handled), event.Inode{}, "anon_inode:[landlock-ruleset]", linux.O_CLOEXEC)
	}
}

// withRuleset calls f with the ruleset of a descriptor, EBADFD if it has none.
func withRuleset(t *kernel.Task, fd int, f func(*vfs.Ruleset) (uint64, error)) (uint64, error) {
	return withFile(t, fd, func(d *vfs.Description) (uint64, error) {
		r, isRuleset := d.File().(*vfs.Ruleset)
		if !isRuleset {
			return 0, unix.EBADFD
		}
		return f(r)
	})
}

func sysLandlockAddRule(t *kernel.Task, a Args) (uint64, error) {
	if a.Uint(3) != 0 {
		return 0, unix.EINVAL
	}
	return withRuleset(t, a.Int(0), func(r *vfs.Ruleset) (uint64, error) {
		if a.Int(1) != landlockPathBeneath {
			return 0, unix.EINVAL
		}
		var raw [pathBeneathSize]byte
		if err := mem(t).CopyIn(a[2], raw[:]); err != nil {
			return 0, err
		}
		access := vfs.Access(binary.LittleEndian.Uint64(raw[:]))
		switch {
		case access == 0:
			return 0, unix.ENOMSG
		case !r.Handles(access):
			return 0, unix.EINVAL
		}
		return withAny(t, int(int32(binary.LittleEndian.Uint32(raw[8:]))), func(d *vfs.Description) (uint64, error) {
			return ok(r.Allow(d.Path(), access))
		})
	})
}

func sysLandlockRestrictSelf(t *kernel.Task, a Args) (uint64, error) {
	c := t.Creds()
	switch {
	case !c.NoNewPrivs && !c.Has(unix.CAP_SYS_ADMIN):
		return 0, unix.EPERM
	case a.Uint(1) != 0:
		return 0, unix.EINVAL
	}
	return withRuleset(t, a.Int(0), func(r *vfs.Ruleset) (uint64, error) {
		d, err := c.Landlock.Restrict(r)
		if err == nil {
			t.SetCreds(c.With(func(c *kernel.Creds) { c.Landlock = d }))
		}
		return ok(err)
	})
}
