package kernel

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Mapping is an open file as the memory map sees it: mm.Backing.
type Mapping struct {
	d  *vfs.Description
	ns *vfs.Namespace
}

// NewMapping makes a Mapping of d, of which it takes no reference.
func (t *Task) NewMapping(d *vfs.Description) Mapping { return Mapping{d, t.K.NS} }

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
func (m Mapping) IncRef() { m.d.Ref() }

// DecRef implements mm.Backing.
func (m Mapping) DecRef() { m.d.Unref() }
