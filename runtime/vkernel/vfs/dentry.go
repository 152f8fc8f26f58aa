package vfs

import (
	"sync/atomic"
	"weak"

	"golang.org/x/sys/unix"
)

// Dentry is a name of an inode. It lives as long as something points to it;
// its parents live with it.
type Dentry struct {
	super *Super
	inode Inode
	// mounts counts the mounts on it, in any namespace.
	mounts atomic.Int32

	// Guarded by super.tree.
	parent   *Dentry // nil for a root and for what has no name
	name     string
	dead     bool // removed: nothing can be made in it, d_path says "(deleted)"
	linkable bool // was made by O_TMPFILE without O_EXCL: link may give it a name
	children map[string]weak.Pointer[Dentry]
	sweepAt  int // size of children at which to drop the dead pointers
}

// Inode returns the inode, always the same.
func (d *Dentry) Inode() Inode { return d.inode }

// Super returns the file system instance it belongs to.
func (d *Dentry) Super() *Super { return d.super }

// cached returns the child in the cache, or nil.
// Preconditions: super.tree is held.
func (d *Dentry) cached(name string) *Dentry {
	if p, ok := d.children[name]; ok {
		return p.Value()
	}
	return nil
}

const minSweep = 64

// add puts child into the cache.
// Preconditions: super.tree is held for writing.
func (d *Dentry) add(name string, child *Dentry) {
	if d.children == nil {
		d.children = map[string]weak.Pointer[Dentry]{}
		d.sweepAt = minSweep
	}
	child.parent, child.name, child.dead = d, name, false
	d.children[name] = weak.Make(child)
	if len(d.children) >= d.sweepAt {
		for n, p := range d.children {
			if p.Value() == nil {
				delete(d.children, n)
			}
		}
		d.sweepAt = max(minSweep, 2*len(d.children))
	}
}

// drop takes the child out of the cache; it is removed.
// Preconditions: super.tree is held for writing.
func (d *Dentry) drop(child *Dentry) {
	delete(d.children, child.name)
	child.dead = true
}

// lookup finds a child: ENOENT, or ENOTDIR if d is no directory.
func (d *Dentry) lookup(name string) (*Dentry, error) {
	if !d.super.volatile {
		d.super.tree.RLock()
		child := d.cached(name)
		d.super.tree.RUnlock()
		if child != nil {
			return child, nil
		}
	}
	d.super.tree.Lock()
	defer d.super.tree.Unlock()
	return d.lookupLocked(name)
}

// lookupLocked is lookup with super.tree held for writing.
func (d *Dentry) lookupLocked(name string) (*Dentry, error) {
	child := d.cached(name)
	if child != nil && !d.super.volatile {
		return child, nil
	}
	dir, ok := d.inode.(Dir)
	if !ok {
		return nil, unix.ENOTDIR
	}
	if d.dead {
		return nil, unix.ENOENT
	}
	inode, err := dir.Lookup(name)
	if err != nil {
		if child != nil && err == unix.ENOENT && child.mounts.Load() == 0 {
			d.drop(child)
		}
		return nil, err
	}
	if child != nil {
		if child.inode == inode || child.mounts.Load() != 0 {
			return child, nil
		}
		d.drop(child)
	}
	child = &Dentry{super: d.super, inode: inode}
	d.add(name, child)
	return child, nil
}

// isUnder reports whether d is top or below it.
// Preconditions: super.tree is held.
func (d *Dentry) isUnder(top *Dentry) bool {
	for ; d != nil; d = d.parent {
		if d == top {
			return true
		}
	}
	return false
}
