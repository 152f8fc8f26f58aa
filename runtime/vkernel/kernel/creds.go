package kernel

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Creds are a task's user, groups and capabilities (struct cred). They are not
// changed once made: With gives a changed copy.
type Creds struct {
	UID, EUID, SUID, FSUID uint32
	GID, EGID, SGID, FSGID uint32
	Groups                 []uint32
	Permitted, Effective   uint64
	Inheritable, Bounding  uint64
	Ambient                uint64
	SecureBits             uint32 // PR_SET_SECUREBITS
	NoNewPrivs             bool
	Landlock               *vfs.Domain // nil: not restricted
}

// ContainerCaps are the capabilities that container engines give to root by
// default.
const ContainerCaps = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID |
	1<<unix.CAP_KILL | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETPCAP | 1<<unix.CAP_NET_BIND_SERVICE |
	1<<unix.CAP_NET_RAW | 1<<unix.CAP_SYS_CHROOT | 1<<unix.CAP_MKNOD | 1<<unix.CAP_AUDIT_WRITE | 1<<unix.CAP_SETFCAP

// NewCreds are those of a process started as this user.
func NewCreds(uid, gid uint32, groups []uint32) *Creds {
	c := &Creds{
		UID: uid, EUID: uid, SUID: uid, FSUID: uid,
		GID: gid, EGID: gid, SGID: gid, FSGID: gid,
		Groups: slices.Clone(groups), Bounding: ContainerCaps,
	}
	if uid == 0 {
		c.Permitted, c.Effective = ContainerCaps, ContainerCaps
	}
	return c
}

// Has tells whether the capability CAP_* is effective.
func (c *Creds) Has(capability int) bool { return c.Effective>>capability&1 != 0 }

// With is a copy that change was applied to, with the capabilities that the
// change of user ids leaves (capabilities(7)).
func (c *Creds) With(change func(*Creds)) *Creds {
	n := *c
	n.Groups = slices.Clone(c.Groups)
	change(&n)
	n.fixUp(c)
	return &n
}

// VFS is what the file systems look at.
func (c *Creds) VFS() *vfs.Creds {
	return &vfs.Creds{UID: c.UID, GID: c.GID, FSUID: c.FSUID, FSGID: c.FSGID, Groups: c.Groups, Caps: c.Effective, Landlock: c.Landlock}
}
