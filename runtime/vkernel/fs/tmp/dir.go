package tmp

import (
	"slices"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// dirBytes is the size a directory shows: one block, as on ext4.
const dirBytes = 4096

// dir is a directory: entries of its own over those of the lower one. The
// vfs's tree lock guards the fields.
type dir struct {
	node
	lowerDir vfs.Dir // nil if it began empty
	entries  map[string]*entry
	hidden   map[string]bool // names of lowerDir that are gone or replaced
	// order holds the entries as they were made, removed ones too until
	// compact.
	order []*entry
	gone  int
	next  int64 // sequence number of the next entry
}

// entry is a name; seq orders the names of a directory and is the cookie.
type entry struct {
	name  string
	inode inode
	seq   int64
	gone  bool
}

func (fs *FS) newDir(s vfs.Spec) *dir {
	d := &dir{}
	d.init(fs, d, s)
	d.attr.Nlink = 2
	d.attr.Size, d.attr.Blocks = dirBytes, dirBytes/512
	return d
}

// Lookup implements vfs.Dir.
func (d *dir) Lookup(name string) (vfs.Inode, error) {
	i, err := d.lookup(name)
	if err != nil {
		return nil, err
	}
	return i, nil
}

func (d *dir) lookup(name string) (inode, error) {
	if e := d.entries[name]; e != nil {
		return e.inode, nil
	}
	if d.lowerDir == nil || d.hidden[name] {
		return nil, unix.ENOENT
	}
	lower, err := d.lowerDir.Lookup(name)
	if err != nil {
		return nil, err
	}
	return d.fs.fromLower(lower)
}

// set makes name an entry for i, in place of a lower one. It does not count
// links.
func (d *dir) set(name string, i inode) {
	d.changed()
	d.hide(name)
	if d.entries == nil {
		d.entries = map[string]*entry{}
	}
	e := &entry{name: name, inode: i, seq: d.next}
	d.next++
	d.entries[name] = e
	d.order = append(d.order, e)
}

// unset removes name.
func (d *dir) unset(name string) {
	d.changed()
	d.hide(name)
	e := d.entries[name]
	if e == nil {
		return
	}
	delete(d.entries, name)
	e.gone, e.inode = true, nil
	if d.gone++; d.gone > 16 && d.gone > len(d.order)/2 {
		d.order = slices.DeleteFunc(d.order, func(e *entry) bool { return e.gone })
		d.gone = 0
	}
}

// hide takes a name of the lower directory away.
func (d *dir) hide(name string) {
	if d.lowerDir == nil || d.hidden[name] {
		return
	}
	if _, err := d.lowerDir.Lookup(name); err != nil {
		return
	}
	if d.hidden == nil {
		d.hidden = map[string]bool{}
	}
	d.hidden[name] = true
}

// empty reports whether there is nothing in d.
func (d *dir) empty() (bool, error) {
	if len(d.entries) != 0 || d.lowerDir == nil {
		return len(d.entries) == 0, nil
	}
	empty := true
	_, err := d.readLower(0, func(linux.Dirent) bool {
		empty = false
		return false
	})
	return empty, err
}

// Make implements vfs.MutableDir.
func (d *dir) Make(name string, s vfs.Spec) (vfs.Inode, error) {
	i := d.fs.newInode(s)
	d.attach(name, i)
	d.touch()
	return i, nil
}

// MakeTmp implements vfs.TmpMaker.
func (d *dir) MakeTmp(s vfs.Spec) (vfs.Inode, error) {
	f := d.fs.newFile(s)
	f.attr.Nlink = 0
	return f, nil
}

// attach is set that counts the link a directory's ".." is.
func (d *dir) attach(name string, i inode) {
	d.set(name, i)
	if _, ok := i.(*dir); ok {
		d.addLinks(1)
	}
}

// detach is unset likewise.
func (d *dir) detach(name string, i inode) {
	d.unset(name)
	if _, ok := i.(*dir); ok {
		d.addLinks(-1)
	}
}

// Link implements vfs.MutableDir.
func (d *dir) Link(name string, target vfs.Inode) error {
	i, ok := target.(inode)
	if !ok {
		return unix.EXDEV
	}
	i.base().addLinks(1)
	d.set(name, i)
	d.touch()
	return nil
}

// Remove implements vfs.MutableDir.
func (d *dir) Remove(name string, child vfs.Inode) error {
	if err := d.drop(name, child); err != nil {
		return err
	}
	d.touch()
	return nil
}

// drop removes name and a link of child; a directory must be empty.
func (d *dir) drop(name string, child vfs.Inode) error {
	i := child.(inode)
	sub, ok := i.(*dir)
	if !ok {
		d.detach(name, i)
		i.unlinked()
		return nil
	}
	switch empty, err := sub.empty(); {
	case err != nil:
		return err
	case !empty:
		return unix.ENOTEMPTY
	}
	d.detach(name, i)
	sub.addLinks(-2)
	return nil
}

// Rename implements vfs.MutableDir.
func (d *dir) Rename(r vfs.Rename) error {
	to, ok := r.NewDir.(*dir)
	if !ok {
		return unix.EXDEV
	}
	child := r.Child.(inode)
	if r.Replaced != nil && !r.Exchange {
		if err := to.drop(r.NewName, r.Replaced); err != nil {
			return err
		}
	}
	d.detach(r.Name, child)
	if r.Exchange {
		other := r.Replaced.(inode)
		to.detach(r.NewName, other)
		d.attach(r.Name, other)
		other.base().addLinks(0)
	}
	to.attach(r.NewName, child)
	child.base().addLinks(0)
	if r.Whiteout {
		d.attach(r.Name, d.fs.newInode(vfs.Spec{Mode: unix.S_IFCHR}))
	}
	d.touch()
	to.touch()
	return nil
}

// Open implements vfs.Opener.
func (d *dir) Open(int) (vfs.File, error) { return &dirHandle{dir: d}, nil }

// dirHandle is an open directory.
type dirHandle struct {
	dir    *dir
	parent uint64
}

// Release implements vfs.File.
func (h *dirHandle) Release() {}

// Sync implements vfs.Syncer.
func (h *dirHandle) Sync() error { return nil }

// SetParent implements vfs.DotDot.
func (h *dirHandle) SetParent(ino uint64) { h.parent = ino }

// Cookies: 0 is ".", 1 is "..", then those of the lower directory, then from
// firstOwn on our own entries by their sequence number.
const firstOwn = 1 << 48

// ReadDir implements vfs.DirReader.
func (h *dirHandle) ReadDir(cookie int64, emit func(linux.Dirent) bool) error {
	d := h.dir
	d.accessed()
	if cookie == 0 {
		cookie = 1
		if !emit(d.dirent(".", 1)) {
			return nil
		}
	}
	if cookie == 1 {
		cookie = 2
		if !emit(linux.Dirent{Ino: h.parent, Off: 2, Type: unix.DT_DIR, Name: ".."}) {
			return nil
		}
	}
	if cookie < firstOwn {
		if more, err := d.readLower(cookie, emit); err != nil || !more {
			return err
		}
		cookie = firstOwn
	}
	d.readOwn(cookie-firstOwn, emit)
	return nil
}

// readLower emits the lower directory's names that are still there; more is
// false if emit stopped it.
func (d *dir) readLower(cookie int64, emit func(linux.Dirent) bool) (more bool, err error) {
	open, ok := d.lowerDir.(vfs.Opener)
	if !ok {
		return true, nil
	}
	f, err := open.Open(linux.O_RDONLY | linux.O_DIRECTORY)
	if err != nil {
		return false, err
	}
	defer f.Release()
	r, ok := f.(vfs.DirReader)
	if !ok {
		return false, unix.EIO
	}
	more = true
	err = r.ReadDir(cookie, func(e linux.Dirent) bool {
		if e.Name != "." && e.Name != ".." && !d.hidden[e.Name] {
			more = emit(e)
		}
		return more
	})
	return more, err
}

// readOwn emits our entries from sequence number seq on.
func (d *dir) readOwn(seq int64, emit func(linux.Dirent) bool) {
	i, _ := slices.BinarySearchFunc(d.order, seq, func(e *entry, seq int64) int {
		return int(e.seq - seq)
	})
	for _, e := range d.order[i:] {
		if e.gone {
			continue
		}
		if !emit(e.inode.base().dirent(e.name, firstOwn+e.seq+1)) {
			return
		}
	}
}
