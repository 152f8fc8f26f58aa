package tty

import (
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/fs/synth"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Device numbers, Documentation/admin-guide/devices.txt.
const (
	ptmxMajor, ptmxMinor = 5, 2
	slaveMajor           = 136
	maxPtys              = 4096 // kernel.pty.max
	ttyGID               = 5
)

// Ptmx is the device number of /dev/pts/ptmx.
var Ptmx = linux.Mkdev(ptmxMajor, ptmxMinor)

// Table is the pseudoterminals of a system. It is the directory /dev/pts.
type Table struct {
	ptmx synth.Meta

	mu      sync.Mutex
	ptys    map[int]*Pty
	foreign map[int]vfs.Inode
}

// NewTable makes an empty table.
func NewTable() *Table {
	t := &Table{ptys: map[int]*Pty{}, foreign: map[int]vfs.Inode{}, ptmx: synth.NewMeta(unix.S_IFCHR|0o666, 0, 0)}
	t.ptmx.SetRdev(Ptmx)
	return t
}

// AddForeign shows a terminal of somebody else's under a number.
func (t *Table) AddForeign(number int, inode vfs.Inode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.foreign[number] = inode
}

// OpenMaster opens /dev/ptmx: it makes a new pair. ENOSPC if there are too
// many.
func (t *Table) OpenMaster(c *vfs.Caller) (vfs.File, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for t.ptys[n] != nil || t.foreign[n] != nil {
		n++
	}
	if n >= maxPtys {
		return nil, unix.ENOSPC
	}
	p := &Pty{Number: n, table: t, locked: true}
	p.line.Termios = newTermios()
	p.control.Device = linux.Mkdev(slaveMajor, uint32(n))
	p.control.Open = p.openSlave
	p.control.StopsOutput = func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.line.local(unix.TOSTOP)
	}
	p.inode = p.newInode(c.Creds.FSUID)
	t.ptys[n] = p
	return &Master{p}, nil
}

// OpenSlave opens a slave by its device number: EIO if it is locked or hung
// up, ENXIO if there is none.
func (t *Table) OpenSlave(rdev uint64, flags int) (vfs.File, error) {
	t.mu.Lock()
	var found *Pty
	for _, p := range t.ptys {
		if p.control.Device == rdev {
			found = p
		}
	}
	t.mu.Unlock()
	if found == nil {
		return nil, unix.ENXIO
	}
	return found.openSlave(flags)
}

func (p *Pty) openSlave(flags int) (f vfs.File, err error) {
	p.change(func() {
		if p.locked || p.hungUp {
			err = unix.EIO
			return
		}
		p.slaves++
		p.wasOpen = true
		f = &Slave{p, flags&linux.O_NONBLOCK != 0}
	})
	return f, err
}

func (t *Table) remove(p *Pty) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.ptys, p.Number)
}

// FS is the file system for /dev/pts.
func (t *Table) FS() vfs.FileSystem {
	return &synth.FS{Name: "devpts", Magic: unix.DEVPTS_SUPER_MAGIC, Top: synth.NewDir(0o755, 0, 0, t)}
}

// slaveInode is a name in /dev/pts.
type slaveInode struct {
	mu   sync.Mutex
	attr linux.Attr
}

// Attr implements vfs.Inode.
func (i *slaveInode) Attr() (linux.Attr, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.attr, nil
}

// SetAttr implements vfs.AttrSetter.
func (i *slaveInode) SetAttr(c vfs.AttrChange) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, set := range []struct {
		what vfs.AttrMask
		do   func()
	}{
		{vfs.SetMode, func() { i.attr.Mode = i.attr.Mode&unix.S_IFMT | c.Mode }},
		{vfs.SetUID, func() { i.attr.UID = c.UID }},
		{vfs.SetGID, func() { i.attr.GID = c.GID }},
		{vfs.SetAtime, func() { i.attr.Atime = c.Atime }},
		{vfs.SetMtime, func() { i.attr.Mtime = c.Mtime }},
	} {
		if c.Set&set.what != 0 {
			set.do()
		}
	}
	i.attr.Ctime = linux.Now()
	return nil
}

// Lookup implements synth.Names.
func (t *Table) Lookup(name string) (vfs.Inode, error) {
	if name == "ptmx" {
		return &t.ptmx, nil
	}
	n, err := strconv.Atoi(name)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil || strconv.Itoa(n) != name:
	case t.foreign[n] != nil:
		return t.foreign[n], nil
	case t.ptys[n] != nil:
		return t.ptys[n].inode, nil
	}
	return nil, unix.ENOENT
}

// newInode is the slave's, as long as there is one: it has the owner and mode
// that it is given.
func (p *Pty) newInode(uid uint32) vfs.Inode {
	m := synth.NewMeta(unix.S_IFCHR|0o620, uid, ttyGID)
	m.SetRdev(p.control.Device)
	m.SetIno(synth.FirstOwnIno + 3 + uint64(p.Number))
	a, _ := m.Attr() // which does not fail
	return &slaveInode{attr: a}
}

// Names implements synth.Names.
func (t *Table) Names() ([]synth.Name, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var numbers []int
	for n := range t.ptys {
		numbers = append(numbers, n)
	}
	for n := range t.foreign {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	names := []synth.Name{{Name: "ptmx", Type: unix.DT_CHR}}
	for _, n := range numbers {
		names = append(names, synth.Name{Name: strconv.Itoa(n), Type: unix.DT_CHR})
	}
	return names, nil
}
