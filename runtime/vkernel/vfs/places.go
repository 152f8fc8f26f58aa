package vfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Chdir is chdir, and fchdir with an empty path.
func (c *Caller) Chdir(at Path, path string) error {
	p, err := c.resolveDir(at, path)
	if err != nil {
		return err
	}
	c.FS.SetCwd(p)
	return nil
}

// Chroot is chroot; it needs CAP_SYS_CHROOT.
func (c *Caller) Chroot(path string) error {
	p, err := c.resolveDir(Path{}, path)
	if err != nil {
		return err
	}
	if !c.Creds.Has(unix.CAP_SYS_CHROOT) {
		return unix.EPERM
	}
	c.FS.SetRoot(p)
	return nil
}

// resolveDir walks to a directory that may be searched.
func (c *Caller) resolveDir(at Path, path string) (Path, error) {
	flags := 0
	if at.Ok() {
		flags = unix.AT_EMPTY_PATH
	}
	p, err := c.Resolve(at, path, flags)
	if err != nil {
		return p, err
	}
	if !isDir(p.Inode()) {
		return p, unix.ENOTDIR
	}
	return p, c.mayPath(p, Exec)
}

// Getcwd is getcwd: ENOENT if the directory was removed.
func (c *Caller) Getcwd() (string, error) {
	cwd := c.FS.Cwd()
	name, deleted, reached := c.NS.walkUp(cwd, c.FS.Root())
	switch {
	case deleted:
		return "", unix.ENOENT
	case !reached:
		return "(unreachable)" + name, nil
	}
	return name, nil
}

// PathName is the name of p as the caller sees it, with " (deleted)" if it
// has been removed: what /proc/PID/fd shows.
func (c *Caller) PathName(p Path) string {
	return c.NS.PathName(p, c.FS.Root())
}

// PathName is the name of p seen from root. What never had a path has its own
// name ("pipe:[7]").
func (n *Namespace) PathName(p, root Path) string {
	if name := p.Dentry.anonName(); name != "" {
		return name
	}
	name, deleted, _ := n.walkUp(p, root)
	if deleted {
		return name + " (deleted)"
	}
	return name
}

// anonName is the name of a dentry made by NewAnon, else "".
func (d *Dentry) anonName() string {
	if _, ok := d.super.fs.(anonFS); ok {
		return d.name
	}
	return ""
}

// walkUp builds the name of p below root; reached is false if root is not
// above p.
func (n *Namespace) walkUp(p, root Path) (name string, deleted, reached bool) {
	var parts []string
	first := true
	for p != root {
		if p.Dentry == p.Mount.root {
			if !p.Mount.at.Ok() {
				return join(parts), deleted, false
			}
			p = p.Mount.at
			continue
		}
		s := p.Dentry.super
		s.tree.RLock()
		part, up, dead := p.Dentry.name, p.Dentry.parent, p.Dentry.dead
		s.tree.RUnlock()
		if first {
			deleted = dead
		}
		if up == nil {
			return join(parts), deleted, false
		}
		parts, first = append(parts, part), false
		p.Dentry = up
	}
	return join(parts), deleted, true
}

// join makes a path of parts, the last of which comes first.
func join(parts []string) string {
	if len(parts) == 0 {
		return "/"
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(parts[i])
	}
	return b.String()
}

// Mount mounts super at path; it needs CAP_SYS_ADMIN.
func (c *Caller) Mount(path string, super *Super, o MountOptions) (*Mount, error) {
	if !c.Creds.Has(unix.CAP_SYS_ADMIN) {
		return nil, unix.EPERM
	}
	p, err := c.Resolve(Path{}, path, 0)
	if err != nil {
		return nil, err
	}
	return c.NS.Mount(p, super, o)
}

// MountPoint is where m is seen by a process whose root is root; false if it
// is not below it.
func (n *Namespace) MountPoint(m *Mount, root Path) (string, bool) {
	if m.Root() == root {
		return "/", true
	}
	if !m.at.Ok() {
		return "", false
	}
	name, _, reached := n.walkUp(m.at, root)
	return name, reached
}

// RootName is the path of the mount's root in its file system.
func (m *Mount) RootName() string {
	m.super.tree.RLock()
	defer m.super.tree.RUnlock()
	var parts []string
	for d := m.root; d.parent != nil; d = d.parent {
		parts = append(parts, d.name)
	}
	return join(parts)
}

// Options is the mount's options as /proc/mounts shows them.
func (m *Mount) Options() string {
	opts := "rw"
	for _, o := range mountOptions {
		switch {
		case m.Flags()&o.flag == 0:
		case o.flag == ReadOnly:
			opts = "ro"
		default:
			opts += "," + o.name
		}
	}
	return opts
}

var mountOptions = []struct {
	flag MountFlags
	name string
}{
	{ReadOnly, "ro"}, {NoSuid, "nosuid"}, {NoDev, "nodev"}, {NoExec, "noexec"},
	{NoAtime, "noatime"}, {RelAtime, "relatime"},
}
