// Package unit is the format of one recompiled ELF: a well-formed WebAssembly
// module with the functions, and a custom section that says what they came
// from. The converter writes units and the megabinary generator reads them.
// It knows neither how code is translated nor how it is run; docs/formats.md
// has the layout.
package unit

import (
	"errors"
	"fmt"
	"math"

	"github.com/megabin/megabin/layers/blob"
)

// ErrInvalid is wrapped by every error about a unit's content.
var ErrInvalid = errors.New("invalid unit")

// Kind is what an ELF is used as.
type Kind byte

// The kinds of ELF.
const (
	Executable Kind = iota
	Loader          // the dynamic loader
	Library         // a shared library or a dlopen'ed module
	numKinds
)

var kindNames = [numKinds]string{"executable", "loader", "library"}

func (k Kind) String() string {
	if k < numKinds {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", byte(k))
}

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Kind) UnmarshalText(text []byte) error {
	for i, name := range kindNames {
		if string(text) == name {
			*k = Kind(i)
			return nil
		}
	}
	return fmt.Errorf("unknown kind %q", text)
}

// Meta is what a unit tells about the ELF it was made from.
type Meta struct {
	Source     blob.ID    // of the ELF file
	SourceSize uint64     // bytes
	Translator string     // name and version of what made the unit
	Kind       Kind       //
	Entry      uint32     // the ELF's entry point, a unit offset
	VMin       uint64     // the vaddr of unit offset 0
	Fixed      bool       // the code runs where unit offset 0 is at VMin only
	BuildID    []byte     // the GNU build-id, may be empty
	Exec       []ExecSpan // what is mapped executable
	Covered    []Span     // the recompiled code bytes of the file: ascending, disjoint
	Coverage   Coverage
}

// Unit is one recompiled ELF.
type Unit struct {
	Meta
	Funcs []Func // ascending by Entry; the index is the function's ordinal
	Sites []byte // return sites; opaque here
}

// ExecSpan is a range of the file that is mapped executable.
type ExecSpan struct {
	Off     uint32 // unit offset
	FileOff uint64
	Size    uint64 // bytes
}

// Span is a range of the file.
type Span struct {
	Off, Size uint64 // bytes
}

// Func is one function.
type Func struct {
	Entry uint32 // unit offset of the first instruction
	Part  uint32 // the group of functions it is loaded with; dense from 0
	Body  []byte // the code entry without its size: locals and expression
	Calls []Call // ascending by Off
}

// Call is a direct call or tail call to a function of the same part.
type Call struct {
	// Off is where in the body the function index is: a LEB128 of
	// wasmenc.PaddedLen bytes right after the opcode. Encode fills it in.
	Off    uint32
	Target uint32 // ordinal
}

// Coverage counts what the translator did.
type Coverage struct {
	Bytes        uint64   // of recompiled instructions, also of those that are not certain to be code, which Meta.Covered leaves out
	Functions    uint64   // found, translated or not
	Instructions uint64   // translated
	Untranslated uint64   // instructions that trap
	Reasons      []Reason // why, ascending by Name
}

// Reason counts the untranslated instructions of one kind.
type Reason struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
}

// NumParts is one more than the highest part number.
func (u *Unit) NumParts() int {
	n := 0
	for i := range u.Funcs {
		n = max(n, int(u.Funcs[i].Part)+1)
	}
	return n
}

// Validate checks what the format promises about u and can be checked
// without knowing WebAssembly instructions. Encode's output decodes if and
// only if the unit is valid.
func (u *Unit) Validate() error {
	if err := u.Meta.validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	parts := make([]bool, len(u.Funcs))
	for i := range u.Funcs {
		if err := u.checkFunc(i, parts); err != nil {
			return fmt.Errorf("%w: function %d: %w", ErrInvalid, i, err)
		}
	}
	for n := range u.NumParts() {
		if !parts[n] {
			return fmt.Errorf("%w: part %d of %d has no function", ErrInvalid, n, u.NumParts())
		}
	}
	return nil
}

func (m *Meta) validate() error {
	if m.Kind >= numKinds {
		return fmt.Errorf("unknown %v", m.Kind)
	}
	for _, e := range m.Exec {
		if e.FileOff > m.SourceSize || e.Size > m.SourceSize-e.FileOff || e.Size > math.MaxUint32-uint64(e.Off) {
			return fmt.Errorf("executable span at file offset %#x leaves the file of %d bytes", e.FileOff, m.SourceSize)
		}
	}
	end := uint64(0)
	for _, s := range m.Covered {
		if s.Off < end || s.Size == 0 || s.Off > m.SourceSize || s.Size > m.SourceSize-s.Off {
			return fmt.Errorf("covered span at file offset %#x, size %#x: out of order or out of the file", s.Off, s.Size)
		}
		end = s.Off + s.Size
	}
	for i, r := range m.Coverage.Reasons {
		if i > 0 && r.Name <= m.Coverage.Reasons[i-1].Name {
			return fmt.Errorf("coverage reason %.80q is out of order", r.Name)
		}
	}
	return nil
}

func (u *Unit) checkFunc(i int, parts []bool) error {
	f := &u.Funcs[i]
	if i > 0 && f.Entry <= u.Funcs[i-1].Entry {
		return fmt.Errorf("entry %#x is not above the one before", f.Entry)
	}
	if int(f.Part) >= len(u.Funcs) {
		return fmt.Errorf("part %d of a unit of %d functions", f.Part, len(u.Funcs))
	}
	parts[f.Part] = true
	next := uint64(1)
	for _, c := range f.Calls {
		if uint64(c.Off) < next || uint64(c.Off)+callLen > uint64(len(f.Body)) || !isCall(f.Body[c.Off-1]) {
			return fmt.Errorf("no call at body offset %#x", c.Off)
		}
		next = uint64(c.Off) + callLen + 1
		if int(c.Target) >= len(u.Funcs) || u.Funcs[c.Target].Part != f.Part {
			return fmt.Errorf("call at body offset %#x: function %d is not in part %d", c.Off, c.Target, f.Part)
		}
	}
	return nil
}
