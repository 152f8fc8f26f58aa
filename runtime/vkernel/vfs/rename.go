package vfs

import (
	"golang.org/x/sys/unix"
)

// knownRename are the flags of renameat2.
const knownRename = unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE | unix.RENAME_WHITEOUT

// Rename is renameat2.
func (c *Caller) Rename(oldAt Path, oldPath string, newAt Path, newPath string, flags uint32) error {
	if flags&^knownRename != 0 || flags&unix.RENAME_EXCHANGE != 0 && flags != unix.RENAME_EXCHANGE {
		return unix.EINVAL
	}
	ow, ol, err := c.walkToParent(oldAt, oldPath)
	if err != nil {
		return err
	}
	nw, nl, err := c.walkToParent(newAt, newPath)
	if err != nil {
		return err
	}
	switch {
	case ow.pos.Mount != nw.pos.Mount:
		return unix.EXDEV
	case ol.isDot():
		return unix.EBUSY
	case nl.isDot() && flags&unix.RENAME_NOREPLACE != 0:
		return unix.EEXIST
	case nl.isDot():
		return unix.EBUSY
	}
	if err := ow.pos.mayModify(); err != nil {
		return err
	}
	r := renaming{c: c, flags: flags, from: ow.pos, to: nw.pos, oldLast: ol, newLast: nl}
	super := ow.pos.Dentry.super
	super.renameMu.Lock()
	defer super.renameMu.Unlock()
	super.tree.Lock()
	defer super.tree.Unlock()
	return r.run()
}

func (c *Caller) walkToParent(at Path, path string) (*walk, last, error) {
	w, err := c.newWalk(at, path, 0)
	if err != nil {
		return nil, last{}, err
	}
	l, err := w.toParent()
	return w, l, err
}

// renaming is one rename with the tree locked.
type renaming struct {
	c                *Caller
	flags            uint32
	from, to         Path // the directories
	oldLast, newLast last
	child, target    *Dentry // target is nil if the new name does not exist
}

func (r *renaming) run() error {
	if err := r.lookup(); err != nil {
		return err
	}
	if err := r.mayRefer(); err != nil {
		return err
	}
	if r.target != nil && r.target.inode == r.child.inode {
		return nil // two names of one file: nothing happens
	}
	dir, newDir, err := r.may()
	if err != nil {
		return err
	}
	op := Rename{
		Name:     r.oldLast.name,
		Child:    r.child.inode,
		NewDir:   newDir,
		NewName:  r.newLast.name,
		Exchange: r.flags&unix.RENAME_EXCHANGE != 0,
		Whiteout: r.flags&unix.RENAME_WHITEOUT != 0,
	}
	if r.target != nil {
		op.Replaced = r.target.inode
	}
	if err := dir.Rename(op); err != nil {
		return err
	}
	r.moveDentries()
	return nil
}

// lookup finds both names and makes the checks that need no permission.
func (r *renaming) lookup() error {
	var err error
	if r.child, err = r.from.Dentry.lookupLocked(r.oldLast.name); err != nil {
		return err
	}
	r.target, err = r.to.Dentry.lookupLocked(r.newLast.name)
	exchange := r.flags&unix.RENAME_EXCHANGE != 0
	switch {
	case err != nil && (err != unix.ENOENT || exchange):
		return err
	case r.target != nil && r.flags&unix.RENAME_NOREPLACE != 0:
		return unix.EEXIST
	case exchange && r.newLast.slash && !isDir(r.target.inode):
		return unix.ENOTDIR
	}
	if !isDir(r.child.inode) && (r.oldLast.slash || !exchange && r.newLast.slash) {
		return unix.ENOTDIR
	}
	if r.to.Dentry.isUnder(r.child) {
		return unix.EINVAL
	}
	if r.target != nil && r.from.Dentry.isUnder(r.target) {
		if exchange {
			return unix.EINVAL
		}
		return unix.ENOTEMPTY
	}
	return nil
}

// mayRefer is the caller's own restriction.
func (r *renaming) mayRefer() error {
	how := referral{from: r.from, to: r.to, child: r.child.inode, moves: true, exchange: r.flags&unix.RENAME_EXCHANGE != 0}
	if r.target != nil {
		how.target = r.target.inode
	}
	return r.c.mayRefer(how)
}

// may checks permissions.
func (r *renaming) may() (dir, newDir MutableDir, err error) {
	childIsDir := isDir(r.child.inode)
	if dir, err = r.c.mayDelete(r.from, r.child, childIsDir); err != nil {
		return nil, nil, err
	}
	switch {
	case r.target == nil:
		newDir, err = r.c.mayCreate(r.to)
	case r.flags&unix.RENAME_EXCHANGE != 0:
		newDir, err = r.c.mayDelete(r.to, r.target, isDir(r.target.inode))
	default:
		newDir, err = r.c.mayDelete(r.to, r.target, childIsDir)
	}
	if err != nil || r.from.Dentry == r.to.Dentry {
		return dir, newDir, err
	}
	// A directory that moves has its ".." changed.
	if childIsDir {
		err = r.c.mayPath(Path{r.from.Mount, r.child}, Write)
	}
	if err == nil && r.flags&unix.RENAME_EXCHANGE != 0 && isDir(r.target.inode) {
		err = r.c.mayPath(Path{r.to.Mount, r.target}, Write)
	}
	return dir, newDir, err
}

func (r *renaming) moveDentries() {
	from, to := r.from.Dentry, r.to.Dentry
	delete(from.children, r.oldLast.name)
	if r.target != nil && r.flags&unix.RENAME_EXCHANGE == 0 {
		to.drop(r.target)
	}
	to.add(r.newLast.name, r.child)
	if r.flags&unix.RENAME_EXCHANGE != 0 {
		from.add(r.oldLast.name, r.target)
	}
	r.tell()
}

// tell passes on what happened.
func (r *renaming) tell() {
	from, to := r.from.Dentry, r.to.Dentry
	m := &from.super.marks
	m.moved(from, to, r.oldLast.name, r.newLast.name, r.child.inode)
	m.tell(r.child.inode, Event{Mask: unix.IN_MOVE_SELF})
	switch {
	case r.target == nil || m.count.Load() == 0:
	case r.flags&unix.RENAME_EXCHANGE != 0:
		m.moved(to, from, r.newLast.name, r.oldLast.name, r.target.inode)
		m.tell(r.target.inode, Event{Mask: unix.IN_MOVE_SELF})
	default:
		to.lostName(r.target)
	}
}
