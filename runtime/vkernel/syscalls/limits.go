package syscalls

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

func appendLimit(b []byte, l kernel.Limit) []byte {
	b = binary.LittleEndian.AppendUint64(b, l.Cur)
	return binary.LittleEndian.AppendUint64(b, l.Max)
}

func setLimit(t *kernel.Task, g *kernel.ThreadGroup, resource int, addr uint64) (uint64, error) {
	var raw [16]byte
	if err := mem(t).CopyIn(addr, raw[:]); err != nil {
		return 0, err
	}
	l := kernel.Limit{Cur: binary.LittleEndian.Uint64(raw[:]), Max: binary.LittleEndian.Uint64(raw[8:])}
	err := g.Limits.Set(resource, l, t.Creds().Has(unix.CAP_SYS_RESOURCE))
	if err == nil && g == t.Group {
		t.MM.SetLimits(g.Limits.Memory())
	}
	return ok(err)
}

func sysGetrlimit(t *kernel.Task, a Args) (uint64, error) {
	l, err := t.Group.Limits.Get(a.Int(0))
	return copyOut(t, a[1], appendLimit(nil, l), err)
}

func sysSetrlimit(t *kernel.Task, a Args) (uint64, error) {
	return setLimit(t, t.Group, a.Int(0), a[1])
}

func sysPrlimit64(t *kernel.Task, a Args) (uint64, error) {
	g, err := limitsOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	old, err := g.Limits.Get(a.Int(1))
	if err != nil {
		return 0, err
	}
	if a[2] != 0 {
		if _, err := setLimit(t, g, a.Int(1), a[2]); err != nil {
			return 0, err
		}
	}
	if a[3] == 0 {
		return 0, nil
	}
	return ok(mem(t).CopyOut(a[3], appendLimit(nil, old)))
}

// limitsOf is the process whose limits prlimit may see and change: one of the
// same user.
func limitsOf(t *kernel.Task, pid int) (*kernel.ThreadGroup, error) {
	if pid == 0 {
		return t.Group, nil
	}
	other := t.K.Task(pid)
	if other == nil {
		return nil, unix.ESRCH
	}
	me, you := t.Creds(), other.Creds()
	if other.Group != t.Group && (me.UID != you.UID || me.UID != you.EUID || me.UID != you.SUID ||
		me.GID != you.GID || me.GID != you.EGID || me.GID != you.SGID) {
		return nil, unix.EPERM
	}
	return other.Group, nil
}
