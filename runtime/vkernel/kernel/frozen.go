package kernel

import (
	"os"

	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// content is the frozen bytes of a file that has a unit, as long as something
// maps them.
type content struct {
	*vfs.Frozen
	unit machine.Unit
	info UnitInfo
	refs int // guarded by codeGate.mu
}

// frozen is a file as it was when it was decided on: mm.Backing, and what the
// loader reads.
type frozen struct {
	Mapping // what it is called
	content *content
	gate    *codeGate
}

// HostFile implements mm.Backing.
func (f frozen) HostFile(bool) (*os.File, error) { return f.content.Host, nil }

// ReadAt implements io.ReaderAt.
func (f frozen) ReadAt(p []byte, off int64) (int, error) { return f.content.Host.ReadAt(p, off) }

// IncRef implements mm.Backing.
func (f frozen) IncRef() {
	f.gate.mu.Lock()
	f.content.refs++
	f.gate.mu.Unlock()
	f.Mapping.IncRef()
}

// DecRef implements mm.Backing.
func (f frozen) DecRef() {
	f.Mapping.DecRef()
	f.gate.mu.Lock()
	defer f.gate.mu.Unlock()
	if f.content.refs--; f.content.refs == 0 {
		delete(f.gate.live, f.content.Sum)
		f.content.Release()
	}
}
