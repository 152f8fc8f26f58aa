package vfs

import (
	"strings"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// resolveXattr walks to a file whose attribute name is read or written and
// checks that the caller may: hidden is the error where the name space is not
// the caller's.
func (c *Caller) resolveXattr(at Path, path, name string, flags int, want Perm) (Xattrs, Path, error) {
	if name == "" || len(name) > linux.XattrNames {
		return nil, Path{}, unix.ERANGE
	}
	p, err := c.Resolve(at, path, flags)
	if err != nil {
		return nil, p, err
	}
	if want == Write {
		if err := p.mayModify(); err != nil {
			return nil, p, err
		}
	}
	if err := c.mayXattr(p, name, want); err != nil {
		return nil, p, err
	}
	if x, ok := p.Inode().(Xattrs); ok {
		return x, p, nil
	}
	return nil, p, unix.EOPNOTSUPP
}

// mayXattr is the kernel's xattr_permission, and which name spaces there are.
func (c *Caller) mayXattr(p Path, name string, want Perm) error {
	space, rest, _ := strings.Cut(name, ".")
	if rest == "" && (space == "user" || space == "trusted" || space == "security") {
		return unix.EINVAL
	}
	admin := c.Creds.Has(unix.CAP_SYS_ADMIN)
	switch space {
	case "security":
		if want == Write && !admin && !(name == capsXattr && c.Creds.Has(unix.CAP_SETFCAP)) {
			return unix.EPERM
		}
		return nil
	case "trusted":
		switch {
		case admin:
			return nil
		case want == Write:
			return unix.EPERM
		}
		return unix.ENODATA
	case "user":
		return c.mayUserXattr(p, want)
	}
	return unix.EOPNOTSUPP
}

// mayUserXattr: user attributes are for regular files and directories, and in
// sticky directories' case for the owner.
func (c *Caller) mayUserXattr(p Path, want Perm) error {
	a, err := p.Inode().Attr()
	if err != nil {
		return err
	}
	if t := a.Type(); t != unix.S_IFREG && t != unix.S_IFDIR {
		if want == Write {
			return unix.EPERM
		}
		return unix.ENODATA
	}
	if a.IsDir() && a.Mode&unix.S_ISVTX != 0 && want == Write && !c.Creds.owns(&a) {
		return unix.EPERM
	}
	return c.mayPath(p, want)
}

// Getxattr is getxattr, lgetxattr (AT_SYMLINK_NOFOLLOW) and fgetxattr
// (AT_EMPTY_PATH): ENODATA if there is none.
func (c *Caller) Getxattr(at Path, path, name string, flags int) ([]byte, error) {
	x, _, err := c.resolveXattr(at, path, name, flags, Read)
	if err != nil {
		return nil, err
	}
	return x.Getxattr(name)
}

// Setxattr is the setxattr family; how is XATTR_CREATE, XATTR_REPLACE or 0.
func (c *Caller) Setxattr(at Path, path, name string, value []byte, how, flags int) error {
	if how&^(unix.XATTR_CREATE|unix.XATTR_REPLACE) != 0 {
		return unix.EINVAL
	}
	if len(value) > linux.XattrSize {
		return unix.E2BIG
	}
	x, p, err := c.resolveXattr(at, path, name, flags, Write)
	if err != nil {
		return err
	}
	if err := x.Setxattr(name, value, how); err != nil {
		return err
	}
	p.Dentry.happened(unix.IN_ATTRIB)
	return nil
}

// Removexattr is the removexattr family.
func (c *Caller) Removexattr(at Path, path, name string, flags int) error {
	x, p, err := c.resolveXattr(at, path, name, flags, Write)
	if err != nil {
		return err
	}
	if err := x.Removexattr(name); err != nil {
		return err
	}
	p.Dentry.happened(unix.IN_ATTRIB)
	return nil
}

// Listxattr is the listxattr family: the names the caller may see.
func (c *Caller) Listxattr(at Path, path string, flags int) ([]string, error) {
	p, err := c.Resolve(at, path, flags)
	if err != nil {
		return nil, err
	}
	x, ok := p.Inode().(Xattrs)
	if !ok {
		return nil, nil
	}
	names, err := x.Listxattr()
	if err != nil || c.Creds.Has(unix.CAP_SYS_ADMIN) {
		return names, err
	}
	var seen []string
	for _, n := range names {
		if !strings.HasPrefix(n, "trusted.") {
			seen = append(seen, n)
		}
	}
	return seen, nil
}

// XattrMap is a store of extended attributes for file systems to embed; it
// has no lock of its own.
type XattrMap map[string][]byte

// Set does Setxattr.
func (m *XattrMap) Set(name string, value []byte, flags int) error {
	_, exists := (*m)[name]
	switch {
	case exists && flags&unix.XATTR_CREATE != 0:
		return unix.EEXIST
	case !exists && flags&unix.XATTR_REPLACE != 0:
		return unix.ENODATA
	}
	if *m == nil {
		*m = XattrMap{}
	}
	(*m)[name] = append([]byte(nil), value...)
	return nil
}
