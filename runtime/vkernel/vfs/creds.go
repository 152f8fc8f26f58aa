package vfs

import (
	"slices"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// Creds is who asks. It is not changed after it is made: a task that changes
// its ids gets new Creds.
type Creds struct {
	UID    uint32 // real, for access(2)
	GID    uint32
	FSUID  uint32 // for everything else
	FSGID  uint32
	Groups []uint32
	Caps   uint64 // effective capabilities, 1<<CAP_*

	Landlock *Domain // what the task has restricted itself to
}

// AllCaps is every capability up to CAP_LAST_CAP.
const AllCaps = 1<<(unix.CAP_LAST_CAP+1) - 1

// RootCreds are those of a privileged root process.
func RootCreds() *Creds { return &Creds{Caps: AllCaps} }

// UserCreds are those of an unprivileged user (all capabilities if uid is 0).
func UserCreds(uid, gid uint32, groups ...uint32) *Creds {
	c := &Creds{UID: uid, GID: gid, FSUID: uid, FSGID: gid, Groups: groups}
	if uid == 0 {
		c.Caps = AllCaps
	}
	return c
}

// Has reports whether the capability CAP_* is effective.
func (c *Creds) Has(capability int) bool { return c.Caps>>capability&1 != 0 }

// InGroup reports whether gid is the file system group or a supplementary
// one.
func (c *Creds) InGroup(gid uint32) bool {
	return gid == c.FSGID || slices.Contains(c.Groups, gid)
}

// real returns the credentials access(2) checks with: the real ids, and
// root's capabilities only if the real user is root.
func (c *Creds) real() *Creds {
	r := *c
	r.FSUID, r.FSGID = c.UID, c.GID
	if c.UID != 0 {
		r.Caps = 0
	} else if c.FSUID != 0 {
		r.Caps = AllCaps
	}
	return &r
}

// owns reports whether c may act as the owner of a.
func (c *Creds) owns(a *linux.Attr) bool {
	return c.FSUID == a.UID || c.Has(unix.CAP_FOWNER)
}

// Perm is a set of access rights; the values are those of access(2).
type Perm uint32

// Access rights.
const (
	Exec  Perm = 1
	Write Perm = 2
	Read  Perm = 4
)

// Permits is the kernel's generic_permission: EACCES unless c may do want to
// an inode with these attributes.
func (c *Creds) Permits(a *linux.Attr, want Perm) error {
	bits := Perm(a.Mode)
	switch {
	case a.UID == c.FSUID:
		bits >>= 6
	case c.InGroup(a.GID):
		bits >>= 3
	}
	if want&^bits == 0 {
		return nil
	}
	if a.IsDir() {
		if c.Has(unix.CAP_DAC_OVERRIDE) ||
			want&Write == 0 && c.Has(unix.CAP_DAC_READ_SEARCH) {
			return nil
		}
		return unix.EACCES
	}
	if want == Read && c.Has(unix.CAP_DAC_READ_SEARCH) {
		return nil
	}
	if c.Has(unix.CAP_DAC_OVERRIDE) && (want&Exec == 0 || a.Mode&0o111 != 0) {
		return nil
	}
	return unix.EACCES
}
