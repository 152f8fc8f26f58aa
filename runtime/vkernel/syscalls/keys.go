package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
)

// Sizes of what the calls for keys are given, bytes.
const (
	maxKeyType    = 32             // of a type's name, with its NUL
	maxKeyPayload = 1<<20 - 1      // of what makes a key
	maxKeyUpdate  = linux.PageSize // of what KEYCTL_UPDATE puts there
)

// keyArg is argument i as a key_serial_t.
func (a Args) keyArg(i int) int32 { return int32(a[i]) }

// keyType reads a type's name.
func keyType(t *kernel.Task, addr uint64) (string, error) {
	s, err := mem(t).CString(addr, maxKeyType)
	switch {
	case err == unix.ENAMETOOLONG, err == nil && s == "":
		return "", unix.EINVAL
	case err == nil && s[0] == '.':
		return "", unix.EPERM
	}
	return s, err
}

// keyString reads a description and the like: strndup_user of a page.
func keyString(t *kernel.Task, addr uint64) (string, error) {
	s, err := mem(t).CString(addr, linux.PageSize)
	if err == unix.ENAMETOOLONG {
		err = unix.EINVAL
	}
	return s, err
}

// keyPayload reads n bytes, of max at most.
func keyPayload(t *kernel.Task, addr, n, max uint64) ([]byte, error) {
	if n > max {
		return nil, unix.EINVAL
	}
	b := make([]byte, n)
	if n == 0 {
		return b, nil
	}
	return b, mem(t).CopyIn(addr, b)
}

func sysAddKey(t *kernel.Task, a Args) (uint64, error) {
	if a[3] > maxKeyPayload {
		return 0, unix.EINVAL
	}
	typ, err := keyType(t, a[0])
	if err != nil {
		return 0, err
	}
	desc := ""
	if a[1] != 0 {
		if desc, err = keyString(t, a[1]); err != nil {
			return 0, err
		}
	}
	payload, err := keyPayload(t, a[2], a[3], maxKeyPayload)
	if err != nil {
		return 0, err
	}
	return count(t.K.Keys.Add(t.KeyCaller(), typ, desc, payload, a.keyArg(4)))
}

func sysRequestKey(t *kernel.Task, a Args) (uint64, error) {
	typ, err := keyType(t, a[0])
	if err != nil {
		return 0, err
	}
	desc, err := keyString(t, a[1])
	if err != nil {
		return 0, err
	}
	if a[2] != 0 {
		if _, err := keyString(t, a[2]); err != nil {
			return 0, err
		}
	}
	return count(t.K.Keys.Request(t.KeyCaller(), typ, desc, a[2] != 0, a.keyArg(3)))
}

func sysKeyctl(t *kernel.Task, a Args) (uint64, error) {
	f, ok := keyctls[a.Int(0)]
	if !ok {
		return 0, unix.EOPNOTSUPP
	}
	return f(t, a)
}

// keyctls are the operations of keyctl. Those without a row are not supported,
// which is what Linux says of them too where it is built without them.
var keyctls = map[int]Func{
	unix.KEYCTL_GET_KEYRING_ID: func(t *kernel.Task, a Args) (uint64, error) {
		return count(t.K.Keys.ID(t.KeyCaller(), a.keyArg(1), a.Int(2) != 0))
	},
	unix.KEYCTL_JOIN_SESSION_KEYRING: keyctlJoin,
	unix.KEYCTL_UPDATE:               keyctlUpdate,
	unix.KEYCTL_REVOKE: func(t *kernel.Task, a Args) (uint64, error) {
		return ok(t.K.Keys.Revoke(t.KeyCaller(), a.keyArg(1)))
	},
	unix.KEYCTL_CHOWN: func(t *kernel.Task, a Args) (uint64, error) {
		return ok(t.K.Keys.ChownKey(t.KeyCaller(), a.keyArg(1), a.Uint(2), a.Uint(3)))
	},
	unix.KEYCTL_SETPERM: func(t *kernel.Task, a Args) (uint64, error) {
		return ok(t.K.Keys.SetPerm(t.KeyCaller(), a.keyArg(1), a.Uint(2)))
	},
	unix.KEYCTL_DESCRIBE: func(t *kernel.Task, a Args) (uint64, error) {
		s, err := t.K.Keys.Describe(t.KeyCaller(), a.keyArg(1))
		return whole(t, a, append([]byte(s), 0), err)
	},
	unix.KEYCTL_CLEAR: func(t *kernel.Task, a Args) (uint64, error) {
		return ok(t.K.Keys.Clear(t.KeyCaller(), a.keyArg(1)))
	},
	unix.KEYCTL_LINK: func(t *kernel.Task, a Args) (uint64, error) {
		return ok(t.K.Keys.Link(t.KeyCaller(), a.keyArg(1), a.keyArg(2)))
	},
	unix.KEYCTL_UNLINK: func(t *kernel.Task, a Args) (uint64, error) {
		return ok(t.K.Keys.Unlink(t.KeyCaller(), a.keyArg(1), a.keyArg(2)))
	},
	unix.KEYCTL_SEARCH: keyctlSearch,
	unix.KEYCTL_READ: func(t *kernel.Task, a Args) (uint64, error) {
		size := a[3]
		if a[2] == 0 {
			size = 0
		}
		b, err := t.K.Keys.Read(t.KeyCaller(), a.keyArg(1), size)
		return whole(t, a, b, err)
	},
	unix.KEYCTL_INSTANTIATE: func(_ *kernel.Task, a Args) (uint64, error) {
		if a[2] != 0 && a[3] > maxKeyPayload {
			return 0, unix.EINVAL
		}
		return noKeyAuthority()
	},
	unix.KEYCTL_NEGATE: func(*kernel.Task, Args) (uint64, error) { return noKeyAuthority() },
	unix.KEYCTL_SET_REQKEY_KEYRING: func(t *kernel.Task, a Args) (uint64, error) {
		return count(t.K.Keys.SetRequest(t.KeyCaller(), a.Int(1)))
	},
	unix.KEYCTL_SET_TIMEOUT: func(t *kernel.Task, a Args) (uint64, error) {
		return ok(t.K.Keys.SetTimeout(t.KeyCaller(), a.keyArg(1), a.Uint(2)))
	},
	unix.KEYCTL_ASSUME_AUTHORITY: func(_ *kernel.Task, a Args) (uint64, error) {
		switch id := a.keyArg(1); {
		case id < 0:
			return 0, unix.EINVAL
		case id > 0:
			return 0, unix.ENOKEY
		}
		return 0, nil
	},
	unix.KEYCTL_GET_SECURITY: func(t *kernel.Task, a Args) (uint64, error) {
		return whole(t, a, []byte{0}, t.K.Keys.Security(t.KeyCaller(), a.keyArg(1)))
	},
	unix.KEYCTL_SESSION_TO_PARENT: func(t *kernel.Task, _ Args) (uint64, error) { return ok(t.SessionToParent()) },
	unix.KEYCTL_REJECT:            keyctlReject,
	unix.KEYCTL_INSTANTIATE_IOV:   keyctlInstantiateIOV,
	unix.KEYCTL_INVALIDATE: func(t *kernel.Task, a Args) (uint64, error) {
		return ok(t.K.Keys.Invalidate(t.KeyCaller(), a.keyArg(1)))
	},
	unix.KEYCTL_GET_PERSISTENT: func(t *kernel.Task, a Args) (uint64, error) {
		return count(t.K.Keys.Persistent(t.KeyCaller(), a.Uint(1), a.keyArg(2)))
	},
	unix.KEYCTL_RESTRICT_KEYRING: keyctlRestrict,
	unix.KEYCTL_MOVE: func(t *kernel.Task, a Args) (uint64, error) {
		return ok(t.K.Keys.Move(t.KeyCaller(), a.keyArg(1), a.keyArg(2), a.keyArg(3), a.Uint(4)))
	},
	unix.KEYCTL_CAPABILITIES: keyctlCapabilities,
}

// whole writes what an operation tells to the buffer of arguments 2 and 3, if
// all of it fits there. The result is how much there is.
func whole(t *kernel.Task, a Args, b []byte, err error) (uint64, error) {
	n := uint64(len(b))
	if err != nil || a[2] == 0 || a[3] < n || n == 0 {
		return n, err
	}
	return n, mem(t).CopyOut(a[2], b)
}

// noKeyAuthority is what those get who would construct a key without having
// been asked to, which nobody is here.
func noKeyAuthority() (uint64, error) { return 0, unix.EPERM }

func keyctlJoin(t *kernel.Task, a Args) (uint64, error) {
	if a[1] == 0 {
		return count(t.K.Keys.Join(t.KeyCaller(), nil))
	}
	name, err := keyString(t, a[1])
	if err != nil {
		return 0, err
	}
	return count(t.K.Keys.Join(t.KeyCaller(), &name))
}

func keyctlUpdate(t *kernel.Task, a Args) (uint64, error) {
	payload, err := keyPayload(t, a[2], a[3], maxKeyUpdate)
	if err != nil {
		return 0, err
	}
	return ok(t.K.Keys.Update(t.KeyCaller(), a.keyArg(1), payload))
}

func keyctlSearch(t *kernel.Task, a Args) (uint64, error) {
	typ, err := keyType(t, a[2])
	if err != nil {
		return 0, err
	}
	desc, err := keyString(t, a[3])
	if err != nil {
		return 0, err
	}
	return count(t.K.Keys.Search(t.KeyCaller(), a.keyArg(1), typ, desc, a.keyArg(4)))
}

// keyctlReject refuses what is no error, and those that only the kernel knows.
func keyctlReject(_ *kernel.Task, a Args) (uint64, error) {
	switch code := unix.Errno(a.Uint(3)); {
	case code == 0, code >= maxErrno, code == kernel.ERESTART_RESTARTBLOCK,
		code == kernel.ERESTARTSYS, code == kernel.ERESTARTNOINTR, code == kernel.ERESTARTNOHAND:
		return 0, unix.EINVAL
	}
	return noKeyAuthority()
}

func keyctlInstantiateIOV(t *kernel.Task, a Args) (uint64, error) {
	if a[2] != 0 {
		if _, err := iovecs(t, a[2], a.Int(3), false); err != nil {
			return 0, err
		}
	}
	return noKeyAuthority()
}

func keyctlRestrict(t *kernel.Task, a Args) (uint64, error) {
	if err := t.K.Keys.MayRestrict(t.KeyCaller(), a.keyArg(1)); err != nil {
		return 0, err
	}
	if (a[2] == 0) != (a[3] == 0) {
		return 0, unix.EINVAL
	}
	if a[2] == 0 {
		return ok(t.K.Keys.Restrict(t.KeyCaller(), a.keyArg(1), nil))
	}
	typ, err := keyType(t, a[2])
	if err != nil {
		return 0, err
	}
	if _, err := keyString(t, a[3]); err != nil {
		return 0, err
	}
	return ok(t.K.Keys.Restrict(t.KeyCaller(), a.keyArg(1), &typ))
}

// keyCapabilities is what KEYCTL_CAPABILITIES tells.
var keyCapabilities = [...]byte{
	unix.KEYCTL_CAPS0_CAPABILITIES | unix.KEYCTL_CAPS0_PERSISTENT_KEYRINGS | unix.KEYCTL_CAPS0_INVALIDATE |
		unix.KEYCTL_CAPS0_RESTRICT_KEYRING | unix.KEYCTL_CAPS0_MOVE,
	unix.KEYCTL_CAPS1_NS_KEYRING_NAME | unix.KEYCTL_CAPS1_NS_KEY_TAG,
}

// keyctlCapabilities fills all of the buffer, with zeroes behind.
func keyctlCapabilities(t *kernel.Task, a Args) (uint64, error) {
	if a[2] > 0 {
		b, err := mem(t).Slice(a[1], a[2], true)
		if err != nil {
			return 0, err
		}
		clear(b[copy(b, keyCapabilities[:]):])
	}
	return uint64(len(keyCapabilities)), nil
}
