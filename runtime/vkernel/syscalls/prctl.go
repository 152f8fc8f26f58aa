package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// prctls are the operations of prctl.
var prctls = map[int]func(t *kernel.Task, a Args) (uint64, error){
	unix.PR_SET_NAME: func(t *kernel.Task, a Args) (uint64, error) {
		name, err := mem(t).CString(a[1], 16)
		if err == unix.ENAMETOOLONG {
			raw := make([]byte, 15)
			err = mem(t).CopyIn(a[1], raw)
			name = string(raw)
		}
		if err == nil {
			t.SetComm(name)
		}
		return ok(err)
	},
	unix.PR_GET_NAME: func(t *kernel.Task, a Args) (uint64, error) {
		return ok(mem(t).CopyOut(a[1], append([]byte(t.Comm()), make([]byte, 16-len(t.Comm()))...)))
	},
	unix.PR_GET_DUMPABLE: func(t *kernel.Task, _ Args) (uint64, error) { return boolean(t.Attributes().Dumpable), nil },
	unix.PR_SET_DUMPABLE: func(t *kernel.Task, a Args) (uint64, error) {
		if err := oneOf(a[1], 0, 1); err != nil {
			return 0, err
		}
		t.SetAttributes(func(at *kernel.Attributes) { at.Dumpable = a[1] == 1 })
		return 0, nil
	},
	unix.PR_GET_KEEPCAPS: func(t *kernel.Task, _ Args) (uint64, error) {
		return boolean(t.Creds().Secure(kernel.SecureKeepCaps)), nil
	},
	unix.PR_SET_KEEPCAPS: func(t *kernel.Task, a Args) (uint64, error) {
		if err := oneOf(a[1], 0, 1); err != nil {
			return 0, err
		}
		return ok(t.SetKeepCaps(a[1] == 1))
	},
	unix.PR_GET_TIMERSLACK: func(t *kernel.Task, _ Args) (uint64, error) { return t.Attributes().TimerSlack, nil },
	unix.PR_SET_TIMERSLACK: func(t *kernel.Task, a Args) (uint64, error) {
		t.SetAttributes(func(at *kernel.Attributes) { at.TimerSlack = a[1] })
		return 0, nil
	},
	unix.PR_GET_TSC: func(t *kernel.Task, a Args) (uint64, error) {
		return ok(mem(t).Store32(a[1], unix.PR_TSC_ENABLE))
	},
	unix.PR_GET_TID_ADDRESS: func(t *kernel.Task, a Args) (uint64, error) {
		return ok(mem(t).Store64(a[1], t.ClearTID))
	},
	unix.PR_SET_VMA:          func(*kernel.Task, Args) (uint64, error) { return 0, nil },
	unix.PR_SET_THP_DISABLE:  func(*kernel.Task, Args) (uint64, error) { return 0, nil },
	unix.PR_GET_THP_DISABLE:  func(*kernel.Task, Args) (uint64, error) { return 0, nil },
	unix.PR_GET_SECCOMP:      func(t *kernel.Task, _ Args) (uint64, error) { return uint64(t.Seccomp().Mode()), nil },
	unix.PR_SET_SECCOMP:      prctlSeccomp,
	unix.PR_GET_SECUREBITS:   func(t *kernel.Task, _ Args) (uint64, error) { return uint64(t.Creds().SecureBits), nil },
	unix.PR_SET_SECUREBITS:   func(t *kernel.Task, a Args) (uint64, error) { return ok(t.SetSecureBits(a.Uint(1))) },
	unix.PR_CAP_AMBIENT:      prctlAmbient,
	unix.PR_SET_PTRACER:      func(*kernel.Task, Args) (uint64, error) { return 0, nil },
	unix.PR_GET_NO_NEW_PRIVS: func(t *kernel.Task, _ Args) (uint64, error) { return boolean(t.Creds().NoNewPrivs), nil },
	unix.PR_SET_NO_NEW_PRIVS: func(t *kernel.Task, a Args) (uint64, error) {
		if a[1] != 1 || a[2]|a[3]|a[4] != 0 {
			return 0, unix.EINVAL
		}
		t.SetCreds(t.Creds().With(func(c *kernel.Creds) { c.NoNewPrivs = true }))
		return 0, nil
	},
	unix.PR_SET_PDEATHSIG: func(t *kernel.Task, a Args) (uint64, error) {
		if a[1] > kernel.MaxSignal {
			return 0, unix.EINVAL
		}
		t.Group.SetParentDeathSignal(unix.Signal(a[1]))
		return 0, nil
	},
	unix.PR_GET_PDEATHSIG: func(t *kernel.Task, a Args) (uint64, error) {
		return ok(mem(t).Store32(a[1], uint32(t.Group.ParentDeathSignal())))
	},
	unix.PR_SET_CHILD_SUBREAPER: func(t *kernel.Task, a Args) (uint64, error) {
		t.Group.SetSubreaper(a[1] != 0)
		return 0, nil
	},
	unix.PR_GET_CHILD_SUBREAPER: func(t *kernel.Task, a Args) (uint64, error) {
		return ok(mem(t).Store32(a[1], uint32(boolean(t.Group.Subreaper()))))
	},
	unix.PR_CAPBSET_READ: func(t *kernel.Task, a Args) (uint64, error) {
		if a[1] > unix.CAP_LAST_CAP {
			return 0, unix.EINVAL
		}
		return t.Creds().Bounding >> a[1] & 1, nil
	},
	unix.PR_CAPBSET_DROP: func(t *kernel.Task, a Args) (uint64, error) {
		if a[1] > unix.CAP_LAST_CAP {
			return 0, unix.EINVAL
		}
		if !t.Creds().Has(unix.CAP_SETPCAP) {
			return 0, unix.EPERM
		}
		t.SetCreds(t.Creds().With(func(c *kernel.Creds) { c.Bounding &^= 1 << a[1] }))
		return 0, nil
	},
}

// prctlAmbient is PR_CAP_AMBIENT.
func prctlAmbient(t *kernel.Task, a Args) (uint64, error) {
	if a[1] == unix.PR_CAP_AMBIENT_CLEAR_ALL {
		if a[2]|a[3]|a[4] != 0 {
			return 0, unix.EINVAL
		}
		t.LowerAmbient(^uint64(0))
		return 0, nil
	}
	if a[2] > unix.CAP_LAST_CAP || a[3]|a[4] != 0 {
		return 0, unix.EINVAL
	}
	switch a[1] {
	case unix.PR_CAP_AMBIENT_IS_SET:
		return t.Creds().Ambient >> a[2] & 1, nil
	case unix.PR_CAP_AMBIENT_RAISE:
		return ok(t.RaiseAmbient(a[2]))
	case unix.PR_CAP_AMBIENT_LOWER:
		t.LowerAmbient(1 << a[2])
		return 0, nil
	}
	return 0, unix.EINVAL
}

func boolean(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// oneOf is EINVAL unless v is one of the values.
func oneOf(v uint64, values ...uint64) error {
	for _, w := range values {
		if v == w {
			return nil
		}
	}
	return unix.EINVAL
}

func sysPrctl(t *kernel.Task, a Args) (uint64, error) {
	if f := prctls[a.Int(0)]; f != nil {
		return f(t, a)
	}
	return 0, unix.EINVAL
}
