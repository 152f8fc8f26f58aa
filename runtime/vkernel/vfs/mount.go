package vfs

import (
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// MountFlags are per-mount options; the values are those of mount(2).
type MountFlags uint32

// Mount options.
const (
	ReadOnly   MountFlags = unix.MS_RDONLY
	NoSuid     MountFlags = unix.MS_NOSUID
	NoDev      MountFlags = unix.MS_NODEV
	NoExec     MountFlags = unix.MS_NOEXEC
	NoAtime    MountFlags = unix.MS_NOATIME
	RelAtime   MountFlags = unix.MS_RELATIME
	knownFlags            = ReadOnly | NoSuid | NoDev | NoExec | NoAtime | RelAtime
)

// Mount is a tree of a file system that is seen at a place.
type Mount struct {
	id     uint64
	super  *Super
	root   *Dentry       // top of what is seen: the file system's root unless bound
	flags  atomic.Uint32 // MountFlags
	source string
	// at is where it is mounted; the zero Path for a namespace's root.
	at Path
}

// MountOptions describe a mount.
type MountOptions struct {
	Flags  MountFlags
	Source string // first column of /proc/mounts; the type if empty
	// Root is the dentry to show; nil for the file system's root.
	Root *Dentry
}

// ID is the mount's number in mountinfo and statx.
func (m *Mount) ID() uint64 { return m.id }

// Super returns the mounted file system.
func (m *Mount) Super() *Super { return m.super }

// Root is the top directory (or file) of the mount.
func (m *Mount) Root() Path { return Path{m, m.root} }

// Flags returns its options.
func (m *Mount) Flags() MountFlags { return MountFlags(m.flags.Load()) }

// SetFlags changes its options (MS_REMOUNT). What is open for writing stays
// so.
func (m *Mount) SetFlags(f MountFlags) { m.flags.Store(uint32(f & knownFlags)) }

// Source is the first column of /proc/mounts.
func (m *Mount) Source() string { return m.source }

// At is where it is mounted; its Mount is nil for a namespace's root.
func (m *Mount) At() Path { return m.at }

// Path is a place in a namespace: a name seen through a mount. The zero Path
// is no place.
type Path struct {
	Mount  *Mount
	Dentry *Dentry
}

// Ok reports whether p is a place.
func (p Path) Ok() bool { return p.Dentry != nil }

// Inode returns the inode at p.
func (p Path) Inode() Inode { return p.Dentry.inode }

// Namespace is a set of mounts with one root.
type Namespace struct {
	sys  *System
	root *Mount

	mu     sync.RWMutex
	mounts map[Path]*Mount
	order  []*Mount
}

// NewNamespace makes a namespace whose root is super.
func (s *System) NewNamespace(super *Super, o MountOptions) *Namespace {
	n := &Namespace{sys: s, mounts: map[Path]*Mount{}}
	n.root = n.newMount(super, o, Path{})
	n.order = []*Mount{n.root}
	return n
}

func (n *Namespace) newMount(super *Super, o MountOptions, at Path) *Mount {
	m := &Mount{
		id:     n.sys.nextMount.Add(1) + 20,
		super:  super,
		root:   o.Root,
		source: o.Source,
		at:     at,
	}
	m.SetFlags(o.Flags)
	if m.root == nil {
		m.root = super.root
	}
	if m.source == "" {
		m.source = super.fs.Type()
	}
	return m
}

// System returns what the namespace was made with.
func (n *Namespace) System() *System { return n.sys }

// Root returns the root directory.
func (n *Namespace) Root() Path { return n.root.Root() }

// Mounts lists the mounts in the order they were made.
func (n *Namespace) Mounts() []*Mount {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.Clone(n.order)
}

// Mount mounts super at a place that is a directory exactly if its root is
// one; else ENOTDIR.
func (n *Namespace) Mount(at Path, super *Super, o MountOptions) (*Mount, error) {
	m := n.newMount(super, o, at)
	if isDir(m.root.inode) != isDir(at.Inode()) {
		return nil, unix.ENOTDIR
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	m.at = n.topLocked(at)
	m.at.Dentry.mounts.Add(1)
	n.mounts[m.at] = m
	n.order = append(n.order, m)
	return m, nil
}

// Unmount removes the mount whose root at is: EINVAL if it is no mount's
// root or the namespace's, EBUSY if something is mounted in it.
func (n *Namespace) Unmount(at Path) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := at.Mount
	if at.Dentry != m.root || m == n.root || n.mounts[m.at] != m {
		return unix.EINVAL
	}
	for _, other := range n.order {
		if other.at.Mount == m {
			return unix.EBUSY
		}
	}
	delete(n.mounts, m.at)
	m.at.Dentry.mounts.Add(-1)
	n.order = slices.DeleteFunc(n.order, func(o *Mount) bool { return o == m })
	return nil
}

// top goes from p to the root of what is mounted on it, as often as needed.
func (n *Namespace) top(p Path) Path {
	if p.Dentry.mounts.Load() == 0 {
		return p
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.topLocked(p)
}

func (n *Namespace) topLocked(p Path) Path {
	for {
		m := n.mounts[p]
		if m == nil {
			return p
		}
		p = m.Root()
	}
}

// parent is the place ".." of p leads to, for a process whose root is root.
func (n *Namespace) parent(p, root Path) Path {
	for p != root {
		if p.Dentry == p.Mount.root {
			if !p.Mount.at.Ok() {
				return p
			}
			p = p.Mount.at
			continue
		}
		s := p.Dentry.super
		s.tree.RLock()
		up := p.Dentry.parent
		s.tree.RUnlock()
		if up == nil {
			return p
		}
		return n.top(Path{p.Mount, up})
	}
	return p
}

func isDir(i Inode) bool {
	_, ok := i.(Dir)
	return ok
}
