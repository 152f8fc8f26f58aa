package kernel

import (
	"bytes"
	"errors"
	"io"
	"sync"

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
	Fixed bool   // it runs with unit offset 0 at VMin only
	VMin  uint64 //
}

// Units is what may be executed, by the BLAKE3 hashes of files.
type Units interface {
	// Lookup finds recompiled code by the hash of the original or of its
	// carrier.
	Lookup(hash [32]byte) (machine.Unit, UnitInfo, bool)
	// Script tells whether a script is listed.
	Script(hash [32]byte) bool
	// Largest is the size of the largest listed file, bytes.
	Largest() int64
}

// codeGate is the mm.Code of a kernel: nothing runs that has no unit.
type codeGate struct {
	units   Units
	policy  Policy
	decided func(Decision)

	mu   sync.Mutex
	live map[[32]byte]*content // by hash
}

// callExecve is the Asker.Call of both execve and execveat.
const callExecve = "execve"

// Reasons for refusing.
const (
	notFile     = "memory that is no file can't be executed"
	notRegular  = "it is no regular file that can be read"
	notListed   = "it was not recompiled: its hash is not in the image's manifest"
	notSmall    = "it is larger than all files of the image's manifest"
	notStill    = "it changed while it was read"
	notCode     = "the part mapped holds no recompiled code"
	notItsPlace = "it is linked to a fixed address and mapped at another"
	notPrivate  = "memory that others can write through the file can't be executed"
	notTheFile  = "the memory is not as the file: what was stored there can't be executed"
	notAScript  = "it is a script whose hash is not in the image's manifest"
	notReadable = "reading it: "
)

// Admit implements mm.Code.
func (g *codeGate) Admit(a *mm.Area, memory []byte, by mm.Asker) (mm.Grant, error) {
	d := Decision{Asker: by}
	grant, reason := g.grant(a, memory, &d)
	if reason == "" {
		if _, told := a.File.(frozen); !told || by.Call != callExecve {
			g.allow(d)
		}
		return grant, nil
	}
	if err := g.refuse(d, reason); err != nil {
		return mm.Grant{}, err
	}
	if a.File != nil {
		a.File.IncRef()
	}
	return mm.Grant{File: a.File}, nil
}

// Program admits a file that execve starts, and gives its bytes, with a
// reference.
func (g *codeGate) Program(m Mapping, by mm.Asker) (frozen, error) {
	d := Decision{Asker: by}
	f, reason := g.freeze(m, &d)
	if reason != "" {
		return f, g.refuse(d, reason)
	}
	g.allow(d)
	return f, nil
}

// Script admits a script that execve is to give to its interpreter.
func (g *codeGate) Script(m Mapping, by mm.Asker) error {
	if !g.policy.ListedScripts {
		return nil
	}
	d := Decision{Asker: by}
	reason := g.hash(m, &d)
	if reason == "" && !g.units.Script(d.Hash) {
		reason = notAScript
	}
	if reason != "" {
		return g.refuse(d, reason)
	}
	g.allow(d)
	return nil
}

func (g *codeGate) allow(d Decision) {
	d.Verdict = Allowed
	g.tell(d)
}

// refuse gives the errno, or nil if the policy wants to know only.
func (g *codeGate) refuse(d Decision, reason string) error {
	d.Verdict, d.Reason = Refused, reason
	if g.policy.Permissive && d.Call != callExecve {
		d.Verdict = Reported
	}
	g.tell(d)
	if d.Verdict == Reported {
		return nil
	}
	return unix.EACCES
}

func (g *codeGate) tell(d Decision) {
	if g.decided != nil {
		g.decided(d)
	}
}

// grant finds the code of an executable area, and where its offset 0 comes to
// lie; or the reason why there is none.
func (g *codeGate) grant(a *mm.Area, memory []byte, d *Decision) (mm.Grant, string) {
	f, reason := g.backing(a, d)
	if reason != "" {
		return mm.Grant{}, reason
	}
	base, ok := f.content.info.base(a)
	switch {
	case !ok:
		reason = notCode
	case f.content.info.Fixed && base != f.content.info.VMin:
		reason = notItsPlace
	case a.Shared && a.MaxProt&unix.PROT_WRITE != 0:
		reason = notPrivate
	case memory != nil && !f.content.sameAs(memory, a.Offset):
		reason = notTheFile
	default:
		return mm.Grant{File: f, Unit: f.content.unit, Base: base}, ""
	}
	f.DecRef()
	return mm.Grant{}, reason
}

// backing is an area's file, frozen, with a reference.
func (g *codeGate) backing(a *mm.Area, d *Decision) (frozen, string) {
	switch file := a.File.(type) {
	case Mapping:
		return g.freeze(file, d)
	case frozen:
		d.Path, d.Hash = file.Name(), file.content.Sum
		file.IncRef()
		return file, ""
	}
	if a.File != nil {
		d.Path = a.File.Name()
	}
	return frozen{}, notFile
}

// hash notes in d which file it is about.
func (g *codeGate) hash(m Mapping, d *Decision) (reason string) {
	d.Path = m.Name()
	sum, err := vfs.HashOf(m.d, g.units.Largest())
	switch {
	case errors.Is(err, unix.EFBIG):
		return notSmall
	case errors.Is(err, unix.EACCES):
		return notRegular
	case err != nil:
		return notReadable + err.Error()
	}
	d.Hash = sum
	return ""
}

// freeze finds the unit of a file, and bytes of it that have the hash by which
// it was found.
func (g *codeGate) freeze(m Mapping, d *Decision) (frozen, string) {
	if reason := g.hash(m, d); reason != "" {
		return frozen{}, reason
	}
	c := g.use(d.Hash, nil)
	if c == nil {
		unit, info, ok := g.units.Lookup(d.Hash)
		if !ok {
			return frozen{}, notListed
		}
		bytes, err := vfs.Freeze(m.d, g.units.Largest())
		if err != nil {
			return frozen{}, notReadable + err.Error()
		}
		if bytes.Sum != d.Hash {
			bytes.Release()
			return frozen{}, notStill
		}
		c = g.use(d.Hash, &content{Frozen: bytes, unit: unit, info: info})
	}
	m.IncRef()
	return frozen{m, c, g}, ""
}

// use takes a reference of what there is with a hash. If there is nothing it
// becomes made, which may be nil, and is released if there is something.
func (g *codeGate) use(hash [32]byte, made *content) *content {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.live[hash]
	switch {
	case c == nil && made == nil:
		return nil
	case c == nil:
		c = made
		g.live[hash] = c
	case made != nil:
		made.Release()
	}
	c.refs++
	return c
}

// sameAs tells whether memory is as the content from off on, and zeros after
// its end.
func (c *content) sameAs(memory []byte, off int64) bool {
	buf := make([]byte, mm.PageSize)
	for ; len(memory) > 0; off += mm.PageSize {
		n, err := c.Host.ReadAt(buf, off)
		if err != nil && err != io.EOF {
			return false
		}
		clear(buf[n:])
		if !bytes.Equal(memory[:mm.PageSize], buf) {
			return false
		}
		memory = memory[mm.PageSize:]
	}
	return true
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
