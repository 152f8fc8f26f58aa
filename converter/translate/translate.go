// Package translate is the pipeline from an ELF file to a unit: elf → disasm
// → lift → opt → wasm → unit. It is the only place where these packages
// meet. It knows nothing of images.
package translate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/elf"
	"github.com/megabin/megabin/converter/lift"
	"github.com/megabin/megabin/converter/opt"
	"github.com/megabin/megabin/converter/wasm"
	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/unit"
)

// ELF recompiles an ELF file. name is for error messages. The unit's
// Translator is left to the caller.
func ELF(ctx context.Context, name string, data []byte) (*unit.Unit, error) {
	f, err := elf.Parse(name, data)
	if err != nil {
		return nil, err
	}
	prog, err := disasm.Analyze(f)
	if err != nil {
		return nil, err
	}
	if len(prog.Funcs) == 0 {
		return nil, fmt.Errorf("%s: %w", name, elf.ErrNoCode)
	}
	return emit(ctx, prog, lift.Program(prog), blob.Hash(data))
}

// ErrRecompiled is returned by At for code that ELF has recompiled.
var ErrRecompiled = errors.New("lies within a recompiled function, but is no entry of it")

// Late recompiles what ELF missed, while a program runs. It keeps the file that it looked at last.
type Late struct {
	mu   sync.Mutex
	file *elf.File
	hash blob.ID // of its bytes
}

// At recompiles what ELF missed at unit offset off and what that reaches among
// the bytes that are left of it. data is the file's carrier, whose hash is given, covered what was recompiled of it. The
// unit has the same base as the file's own; its Source is a hash of the carrier's and the offset.
func (l *Late) At(ctx context.Context, name string, data []byte, carrier blob.ID, covered []unit.Span, off uint32) (*unit.Unit, error) {
	f, err := l.parsed(name, data, carrier)
	if err != nil {
		return nil, err
	}
	addr := f.VMin + uint64(off)
	within, err := left(f, covered, addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %#x %w", name, addr, err)
	}
	prog, err := disasm.AnalyzeAt(f, addr, within)
	if err != nil {
		return nil, err
	}
	return emit(ctx, prog, lift.Fragment(prog), blob.Hash(binary.LittleEndian.AppendUint32(carrier[:], off)))
}

// parsed is the file with these bytes.
func (l *Late) parsed(name string, data []byte, hash blob.ID) (*elf.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil && l.hash == hash {
		return l.file, nil
	}
	f, err := elf.Parse(name, data)
	if err != nil {
		return nil, err
	}
	l.file, l.hash = f, hash
	return f, nil
}

// left is the range of addresses around addr that was not recompiled.
func left(f *elf.File, covered []unit.Span, addr uint64) (disasm.Span, error) {
	for _, s := range f.ExecutableSpans() {
		if addr-s.Vaddr >= s.Size {
			continue
		}
		at, start, end := addr-s.Vaddr+s.Off, s.Off, s.Off+s.Size
		i := sort.Search(len(covered), func(i int) bool { return covered[i].Off > at })
		if i > 0 {
			start = max(start, covered[i-1].Off+covered[i-1].Size)
		}
		if i < len(covered) {
			end = min(end, covered[i].Off)
		}
		if start > at {
			return disasm.Span{}, ErrRecompiled
		}
		return disasm.Span{Start: s.Vaddr + start - s.Off, End: s.Vaddr + end - s.Off}, nil
	}
	return disasm.Span{}, elf.ErrNoCode
}

// emit makes a unit of a lifted program.
func emit(ctx context.Context, prog *disasm.Program, lifted *lift.Result, source blob.ID) (*unit.Unit, error) {
	u := &unit.Unit{Meta: meta(prog.File, prog, lifted)}
	u.Source = source
	if err := compile(ctx, u, lifted); err != nil {
		return nil, fmt.Errorf("%s: %w", prog.File.Name, err)
	}
	return u, nil
}

// meta fills in everything but the functions.
func meta(f *elf.File, prog *disasm.Program, lifted *lift.Result) unit.Meta {
	m := unit.Meta{
		SourceSize: uint64(len(f.Data)), Kind: unit.Kind(f.Kind),
		Entry: uint32(f.Entry - f.VMin), VMin: f.VMin, Fixed: f.Fixed(), BuildID: f.BuildID,
		Coverage: unit.Coverage{Bytes: prog.Stats.CodeBytes, Functions: uint64(len(prog.Funcs)), Instructions: uint64(lifted.Instructions)},
	}
	if f.Entry == 0 { // none: not a distance below VMin
		m.Entry = 0
	}
	for i := range f.Segments {
		if s := &f.Segments[i]; s.Executable() {
			m.Exec = append(m.Exec, unit.ExecSpan{Off: uint32(s.Vaddr - f.VMin), FileOff: s.Off, Size: s.Filesz})
		}
	}
	for _, s := range prog.Covered() {
		m.Covered = append(m.Covered, unit.Span{Off: s.Start, Size: s.End - s.Start})
	}
	for name, n := range lifted.Untranslated {
		m.Coverage.Untranslated += uint64(n)
		m.Coverage.Reasons = append(m.Coverage.Reasons, unit.Reason{Name: name, Count: uint64(n)})
	}
	slices.SortFunc(m.Coverage.Reasons, func(a, b unit.Reason) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return m
}

// partValues is about how many IR values, as lifted, go into one part: small enough that
// a program compiles little that it does not run, big enough that calls between
// neighbours are direct.
const partValues = 4450

// env places functions in parts, by neighbourhood in the file.
type env struct {
	entries []uint32
	parts   []uint32
	part    uint32 // of the function being compiled
	base    uint32 // see Base
	fixed   bool
}

// Base implements wasm.Env.
func (e *env) Base() (addr uint32, fixed bool) { return e.base, e.fixed }

// Callee implements wasm.Env.
func (e *env) Callee(entry uint32) (ordinal uint32, samePart bool) {
	i := sort.Search(len(e.entries), func(i int) bool { return e.entries[i] >= entry })
	if i == len(e.entries) || e.entries[i] != entry {
		panic(fmt.Sprintf("BUG: translate: call of %#x, which is no function", entry))
	}
	return uint32(i), e.parts[i] == e.part
}

func newEnv(m *unit.Meta, l *lift.Result) *env {
	e := &env{base: uint32(m.VMin), fixed: m.Fixed}
	size := 0
	part := uint32(0)
	for i := range l.Len() {
		n := l.Size(i)
		if size > 0 && size+n > partValues {
			part++
			size = 0
		}
		size += n
		e.entries = append(e.entries, l.Entry(i))
		e.parts = append(e.parts, part)
	}
	return e
}

// compile optimises and emits all functions, one after the other.
func compile(ctx context.Context, u *unit.Unit, l *lift.Result) error {
	e := newEnv(&u.Meta, l)
	var sites []unit.Site
	for i := range l.Len() {
		if err := ctx.Err(); err != nil {
			return err
		}
		f := l.Func(i)
		opt.Run(f)
		e.part = e.parts[i]
		code, err := wasm.Compile(f, e)
		if err != nil {
			return fmt.Errorf("function %#x: %w", f.Entry, err)
		}
		u.Funcs = append(u.Funcs, unit.Func{Entry: f.Entry, Part: e.part, Body: code.Body, Calls: code.Calls})
		for _, s := range code.Sites {
			s.Ordinal = uint32(i)
			sites = append(sites, s)
		}
	}
	u.Sites = unit.EncodeSites(sites)
	return nil
}
