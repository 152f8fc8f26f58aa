package kernel

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/mm"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Span is a range of a unit's executable bytes.
type Span struct {
	Unit, File, Size uint64 // unit offset, file offset, size; bytes
}

// UnitInfo is what the kernel needs of a recompiled file to place it.
type UnitInfo struct {
	Spans []Span
}

// Units finds recompiled code by the BLAKE3 hash of a file: the original's or
// its carrier's.
type Units interface {
	Lookup(hash [32]byte) (machine.Unit, UnitInfo, bool)
}

// Refusal says why a file may not be executed.
type Refusal struct {
	Path   string   // "" for anonymous memory
	Hash   [32]byte // zero if the file was not hashed
	Reason string
}

// codeGate is the mm.Code of a kernel: nothing runs that has no unit.
type codeGate struct {
	units   Units
	refused func(Refusal)
}

// Allow implements mm.Code.
func (g *codeGate) Allow(a *mm.Area) error {
	_, _, err := g.find(a)
	return err
}

// Load implements mm.Code.
func (g *codeGate) Load(as *machine.AddressSpace, a *mm.Area) (uint64, error) {
	unit, base, err := g.find(a)
	if err != nil {
		return 0, err
	}
	return base, as.MapUnit(base, unit)
}

// find gives the unit of an executable area and where its offset 0 comes to
// lie.
func (g *codeGate) find(a *mm.Area) (machine.Unit, uint64, error) {
	file, ok := a.File.(Mapping)
	if !ok {
		return nil, 0, g.refuse(Refusal{Reason: "memory that is no file can't be executed"})
	}
	r := Refusal{Path: file.Name()}
	hash, err := vfs.HashOf(file.d)
	if err != nil {
		r.Reason = "reading it: " + err.Error()
		return nil, 0, g.refuse(r)
	}
	r.Hash = hash
	unit, info, ok := g.units.Lookup(hash)
	if !ok {
		r.Reason = "it was not recompiled: its hash is not in the image's manifest"
		return nil, 0, g.refuse(r)
	}
	base, ok := info.base(a)
	if !ok {
		r.Reason = "the part mapped holds no recompiled code"
		return nil, 0, g.refuse(r)
	}
	return unit, base, nil
}

func (g *codeGate) refuse(r Refusal) error {
	if g.refused != nil {
		g.refused(r)
	}
	return unix.EACCES
}

// base is the guest address of unit offset 0 when the file is mapped as a
// says.
func (u UnitInfo) base(a *mm.Area) (uint64, bool) {
	start, end := uint64(a.Offset), uint64(a.Offset)+a.Len()
	for _, s := range u.Spans {
		if s.File < end && start < s.File+s.Size {
			return a.Start + s.File - start - s.Unit, true
		}
	}
	return 0, false
}

// String is the line for the person.
func (r Refusal) String() string {
	name := r.Path
	if name == "" {
		name = "anonymous memory"
	}
	if r.Hash == [32]byte{} {
		return fmt.Sprintf("refused to execute %s: %s", name, r.Reason)
	}
	return fmt.Sprintf("refused to execute %s (blake3 %x): %s", name, r.Hash, r.Reason)
}
