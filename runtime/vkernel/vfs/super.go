package vfs

import (
	"sync"
	"sync/atomic"

	"github.com/megabin/megabin/runtime/vkernel/linux"
)

// System is what all mounts of one kernel share: device numbers, what device
// nodes and FIFOs open, and the file system of things without a name.
type System struct {
	// Devices opens device nodes; nil: all give ENXIO. Set before use.
	Devices DeviceTable
	// Fifos makes the object behind a FIFO when it is first opened; nil:
	// ENXIO. Set before use.
	Fifos func() Fifo

	nextMinor atomic.Uint32
	nextMount atomic.Uint64
	anonOnce  sync.Once
	anon      *Super
	lockWaits lockWaits
}

// DeviceTable opens device nodes.
type DeviceTable interface {
	// OpenDevice opens the device; mode is S_IFCHR or S_IFBLK, rdev its
	// number. ENXIO if there is none.
	OpenDevice(c *Caller, mode uint32, rdev uint64, flags int) (File, error)
}

// Fifo is the object that all who open one FIFO share, from its first open to
// its last close.
type Fifo interface {
	// Open is open(2) of the FIFO; what blocks is an OpenWaiter.
	Open(flags int) (File, error)
}

// Super is a mounted file system instance, the kernel's super_block.
type Super struct {
	fs       FileSystem
	sys      *System
	dev      uint64
	volatile bool
	root     *Dentry

	// rename is held by a rename that moves a directory to another one, so that
	// "is an ancestor of" stays true. Outside tree.
	renameMu sync.Mutex
	// tree guards parent, name, dead and children of all its dentries, and
	// is held for writing around the file system's tree methods.
	tree sync.RWMutex

	marks marks

	stateMu sync.Mutex
	states  map[Inode]*inodeState
}

// NewSuper gives fs a device number and a root dentry.
func (s *System) NewSuper(fs FileSystem) *Super {
	super := &Super{
		fs:     fs,
		sys:    s,
		dev:    linux.Mkdev(0, s.nextMinor.Add(1)+20),
		states: map[Inode]*inodeState{},
	}
	_, super.volatile = fs.(Volatile)
	super.root = &Dentry{super: super, inode: fs.Root()}
	return super
}

// FS returns the file system.
func (s *Super) FS() FileSystem { return s.fs }

// Dev returns its device number.
func (s *Super) Dev() uint64 { return s.dev }

// attr is the inode's attributes with what the vfs knows filled in.
func (s *Super) attr(i Inode) (linux.Attr, error) {
	a, err := i.Attr()
	if a.Dev == 0 {
		a.Dev = s.dev
	}
	if a.Blksize == 0 {
		a.Blksize = linux.PageSize
	}
	return a, err
}

// inodeState is what the vfs keeps about an inode while it is open: the file
// locks and the FIFO.
type inodeState struct {
	refs    int // guarded by Super.stateMu
	locks   lockSet
	leases  leaseSet
	writers writers

	fifoMu sync.Mutex
	fifo   Fifo
}

func (s *Super) getState(i Inode) *inodeState {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	st := s.states[i]
	if st == nil {
		st = &inodeState{}
		s.states[i] = st
	}
	st.refs++
	return st
}

// putState gives a reference back and tells whether it was the last one.
func (s *Super) putState(i Inode) (last bool) {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	st := s.states[i]
	if st == nil || st.refs <= 0 {
		panic("BUG: inode state released too often")
	}
	if st.refs--; st.refs == 0 {
		delete(s.states, i)
	}
	return st.refs == 0
}
