package vfs

import (
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Event is what happened to a file, in the words of inotify(7).
type Event struct {
	Mask   uint32 // one of IN_*, and IN_ISDIR
	Cookie uint32 // joins the two halves of a rename
	Name   string // what the event is about in the directory watched; empty for the watched file itself
}

// Mark is what a watcher leaves at an inode.
type Mark struct {
	// Tell is called for each event, perhaps with a file system's tree
	// locked: it must not call the vfs but for Unwatch.
	Tell func(Event)
}

// marks are the marks of a file system's inodes.
type marks struct {
	count atomic.Int32 // without the lock: 0 most of the time

	mu      sync.Mutex
	byInode map[Inode][]*Mark
}

// Watch puts a mark at p. Whoever does so keeps p, so that the inode stays the
// same.
func (p Path) Watch(m *Mark) {
	s := &p.Dentry.super.marks
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byInode == nil {
		s.byInode = map[Inode][]*Mark{}
	}
	s.byInode[p.Inode()] = append(s.byInode[p.Inode()], m)
	s.count.Add(1)
}

// Unwatch takes a mark away; one that is gone is no error.
func (p Path) Unwatch(m *Mark) {
	s := &p.Dentry.super.marks
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.byInode[p.Inode()]
	i := slices.Index(list, m)
	if i < 0 {
		return
	}
	s.count.Add(-1)
	if len(list) == 1 {
		delete(s.byInode, p.Inode())
		return
	}
	s.byInode[p.Inode()] = slices.Delete(slices.Clone(list), i, i+1)
}

// tell passes an event to who watches i.
func (m *marks) tell(i Inode, e Event) {
	if m.count.Load() == 0 {
		return
	}
	m.mu.Lock()
	list := m.byInode[i]
	m.mu.Unlock()
	for _, mark := range list {
		mark.Tell(e)
	}
}

// dirBit is IN_ISDIR for a directory.
func dirBit(i Inode) uint32 {
	if isDir(i) {
		return unix.IN_ISDIR
	}
	return 0
}

// happened tells who watches a file or its directory.
// Preconditions: the tree is not locked.
func (d *Dentry) happened(mask uint32) {
	m := &d.super.marks
	if m.count.Load() == 0 {
		return
	}
	d.super.tree.RLock()
	parent, name, dead := d.parent, d.name, d.dead
	d.super.tree.RUnlock()
	mask |= dirBit(d.inode)
	if parent != nil && !dead {
		m.tell(parent.inode, Event{Mask: mask, Name: name})
	}
	m.tell(d.inode, Event{Mask: mask})
}

// named tells who watches the directory d of a change of its names.
func (d *Dentry) named(mask uint32, name string, child Inode) {
	d.super.marks.tell(d.inode, Event{Mask: mask | dirBit(child), Name: name})
}

// unnamed tells that child was removed from the directory d.
// Preconditions: the tree is locked.
func (d *Dentry) unnamed(name string, child *Dentry) {
	if d.super.marks.count.Load() == 0 {
		return
	}
	d.lostName(child)
	d.named(unix.IN_DELETE, name, child.inode)
}

// lostName tells who watches child that it has a name less, and that it is gone
// if that was the last one and it is not open.
func (d *Dentry) lostName(child *Dentry) {
	m := &d.super.marks
	if !isDir(child.inode) {
		m.tell(child.inode, Event{Mask: unix.IN_ATTRIB})
	}
	if !d.super.isOpen(child.inode) {
		child.gone()
	}
}

// gone tells that a file which has no name is not open either.
func (d *Dentry) gone() {
	m := &d.super.marks
	if m.count.Load() == 0 {
		return
	}
	a, err := d.inode.Attr()
	if err == nil && (a.Nlink == 0 || a.IsDir()) {
		m.tell(d.inode, Event{Mask: unix.IN_DELETE_SELF})
	}
}

// isOpen tells whether a description of i exists.
func (s *Super) isOpen(i Inode) bool {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	return s.states[i] != nil
}

// lastCookie numbers renames.
var lastCookie atomic.Uint32

// moved tells of a rename.
func (m *marks) moved(from, to *Dentry, oldName, newName string, child Inode) {
	if m.count.Load() == 0 {
		return
	}
	cookie, dir := lastCookie.Add(1), dirBit(child)
	m.tell(from.inode, Event{Mask: unix.IN_MOVED_FROM | dir, Cookie: cookie, Name: oldName})
	m.tell(to.inode, Event{Mask: unix.IN_MOVED_TO | dir, Cookie: cookie, Name: newName})
}

// changed is the event of a change of attributes (fsnotify_change).
func (c AttrChange) event() (mask uint32) {
	if c.Set&(SetMode|SetUID|SetGID) != 0 {
		mask |= unix.IN_ATTRIB
	}
	if c.Set&SetSize != 0 {
		mask |= unix.IN_MODIFY
	}
	switch c.Set & (SetAtime | SetMtime) {
	case SetAtime | SetMtime:
		mask |= unix.IN_ATTRIB
	case SetAtime:
		mask |= unix.IN_ACCESS
	case SetMtime:
		mask |= unix.IN_MODIFY
	}
	return mask
}
