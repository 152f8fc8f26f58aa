package kernel

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Mapping is an open file as the memory map sees it: mm.Backing.
type Mapping struct {
	d      *vfs.Description
	ns     *vfs.Namespace
	writer bool // the file counts the mapping, see vfs.Sealer
}

// NewMapping makes a Mapping of d, of which it takes no reference.
func (t *Task) NewMapping(d *vfs.Description) Mapping { return Mapping{d: d, ns: t.K.NS} }

// Writer is a shared mapping that can write, or can be made to.
func (m Mapping) Writer() Mapping {
	m.writer = true
	return m
}

// HostFile implements mm.Backing. Whether the file may be mapped for writing
// was checked when it was mapped.
func (m Mapping) HostFile(shared bool) (*os.File, error) { return m.d.HostFile(shared, false) }

// ReadAt implements io.ReaderAt for the loader.
func (m Mapping) ReadAt(p []byte, off int64) (int, error) { return m.d.Pread(p, off) }

// Punch implements mm.Puncher.
func (m Mapping) Punch(off, length int64) error {
	return m.d.Allocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, length)
}

// Name implements mm.Backing.
func (m Mapping) Name() string { return m.ns.PathName(m.d.Path(), m.ns.Root()) }

// ID implements mm.Backing.
func (m Mapping) ID() (dev, ino uint64) {
	a, err := m.d.Stat()
	if err != nil {
		return 0, 0
	}
	return a.Dev, a.Ino
}

// IncRef implements mm.Backing.
func (m Mapping) IncRef() {
	m.d.Ref()
	m.count(1)
}

// DecRef implements mm.Backing.
func (m Mapping) DecRef() {
	m.count(-1)
	m.d.Unref()
}

// count counts a writer's references, which are as many as its areas.
func (m Mapping) count(n int) {
	if s, ok := m.d.File().(vfs.Sealer); ok && m.writer {
		s.MapWriter(n)
	}
}
