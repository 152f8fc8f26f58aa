package machine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
	"github.com/megabin/megabin/runtime/machine/codefile"
)

// The machine code of pieces refers to types, imports and globals by their place only,
// which is the same in all pieces. So those of a unit whose code is in the cache directory are
// linked into one module, whose code is mapped at once: without the pieces' wasm, and
// with one instance for all of them.

// linker is what the engine offers beyond wazero, with the patches of runtime/wazero.
type linker interface {
	// CodeVersion names all that machine code depends on beside its wasm.
	CodeVersion() string
	// CompileUncached is CompileModule for code that is not to be in wazero's own cache.
	CompileUncached(ctx context.Context, wasm []byte) (wazero.CompiledModule, error)
	// CodeOf is a module's code, where in it functions begin, and the calls of functions by their ordinal: see codefile.Code.
	CodeOf(m wazero.CompiledModule) (code []byte, functions []int, links [][2]uint32, ok bool)
	// WithCode makes a module of one without functions, and of code with functions of type typ.
	WithCode(skeleton []byte, typ uint32, code []byte, functions []int) (wazero.CompiledModule, error)
}

// elements is what instances have beyond wazero's.
type elements interface {
	// SetElements makes n elements of a table, from at on, references to functions from first on.
	SetElements(table, at, first, n uint32) error
}

// linked is what the cache directory has of a unit.
type linked struct {
	file   *codefile.File
	module wazero.CompiledModule // nil without code
}

// linker is the engine's, nil if nothing is cached.
func (e *Engine) linker() linker {
	if e.options.CacheDir == "" {
		return nil
	}
	return e.runtime.(linker)
}

// linkedOf opens what the cache directory has of a unit, once.
func (e *Engine) linkedOf(l linker, u Unit) *linked {
	e.linkMu.Lock()
	defer e.linkMu.Unlock()
	id, ok := e.codeIDs[u]
	if !ok {
		id = codeID(u)
		e.codeIDs[u] = id
	}
	if k, ok := e.linked[id]; ok {
		return k
	}
	k := &linked{file: codefile.Open(filepath.Join(e.options.CacheDir, "parts-"+codefile.Version+"-"+l.CodeVersion(), hex.EncodeToString(id[:])))}
	if code := k.file.Code(); len(code) > 0 {
		k.module, _ = l.WithCode(skeleton(linkedName(u.ID())), abi.TypeFunc, code, k.file.Functions())
	}
	e.linked[id] = k
	return k
}

// codeID names a unit's code. Parts call each other by ordinals, which are those of one translation.
func codeID(u Unit) [32]byte {
	id := u.ID()
	h := sha256.New()
	h.Write(id[:])
	for n := 0; ; n++ {
		part, _, ok := u.PartID(n)
		if !ok {
			return [32]byte(h.Sum(nil))
		}
		h.Write(part[:])
	}
}

// closeLinked unmaps code that no instance has any more.
func (e *Engine) closeLinked() {
	for _, k := range e.linked {
		k.file.Close()
	}
}

// skeleton is the module of a part without functions, which exports its globals.
func skeleton(name string) []byte {
	b := unit.AppendFunctions(unit.AppendPrelude(nil, false), 0)
	zero := append([]byte{byte(abi.I32), wasmenc.Mutable}, asm{}.i32(0).op(wasmenc.OpEnd)...)
	b = wasmenc.AppendSection(b, wasmenc.SectionGlobal, vector([][]byte{zero, zero}))
	export := func(name string, global uint32) []byte {
		return wasmenc.AppendU(append(wasmenc.AppendName(nil, name), wasmenc.KindGlobal), uint64(global))
	}
	b = wasmenc.AppendSection(b, wasmenc.SectionExport, vector([][]byte{
		export(abi.LinName, abi.GlobalLin), export(abi.SlotsName, abi.GlobalSlots),
	}))
	return withName(b, name)
}

// source is what a piece is compiled of, as far as it was made.
type source struct {
	id       [32]byte // of its wasm
	wasm     []byte   // nil until it is needed
	ordinals []int
}

// sourceOf names a piece's wasm. That of a part is known without making it.
func sourceOf(u Unit, n piece) (s source, err error) {
	if _, ok := n.site(); !ok {
		if id, ordinals, ok := u.PartID(int(n)); ok {
			return source{id: id, ordinals: ordinals}, nil
		}
	}
	s.wasm, s.ordinals, err = n.of(u)
	s.id = sha256.Sum256(s.wasm)
	return s, err
}

// find fills p if the cache directory has the piece's code.
func (k *linked) find(p *part, s *source, unit [32]byte) bool {
	if k.module == nil {
		return false
	}
	first, n, ok := k.file.Find(s.id)
	if !ok || n != len(s.ordinals) {
		return false
	}
	p.module, p.first, p.ordinals, p.name, p.linked = k.module, abi.NumImports+uint32(first), s.ordinals, linkedName(unit), k
	return true
}

// add keeps a piece's code for the next process. Its functions are followed by init.
func (k *linked) add(l linker, p *part, id [32]byte, n piece) {
	code, functions, links, ok := l.CodeOf(p.module)
	if !ok || len(functions) != len(p.ordinals)+1 {
		return
	}
	c := codefile.Code{Bytes: code, Functions: functions[:len(p.ordinals)], Links: links}
	if _, site := n.site(); !site { // what goes on at a site is not the function
		for _, ordinal := range p.ordinals {
			c.Indexes = append(c.Indexes, uint32(ordinal))
		}
	}
	// A directory that can't be written costs speed only.
	_ = k.file.Add(id, c)
}

// link writes the functions of piece n of m, which p has, to the table; slot is the one that was called.
func (c *core) link(m *mapping, n piece, p *part, slot uint32) (api.Module, error) {
	inst, ok := c.linked[m.slots]
	if !ok {
		var err error
		if inst, err = c.engine.runtime.InstantiateModule(c.linkTo, p.module, anonymous); err != nil {
			return nil, err
		}
		for name, v := range map[string]uint32{abi.LinName: linear(m.base), abi.SlotsName: m.slots} {
			inst.ExportedGlobal(name).(api.MutableGlobal).Set(uint64(v))
		}
		c.linked[m.slots] = inst
	}
	set := inst.(elements).SetElements
	if _, ok := n.site(); ok {
		return inst, set(0, slot, p.first, 1)
	}
	for i := 0; i < len(p.ordinals); {
		n := runLength(p.ordinals[i:])
		if err := set(0, m.slots+uint32(p.ordinals[i]), p.first+uint32(i), uint32(n)); err != nil {
			return nil, err
		}
		i += n
	}
	return inst, nil
}

// runLength is how many of the first numbers are consecutive.
func runLength(list []int) int {
	n := 1
	for n < len(list) && list[n] == list[0]+n {
		n++
	}
	return n
}

// linkedName is the module name of a unit's linked pieces.
func linkedName(id [32]byte) string { return fmt.Sprintf("%x/linked", id[:4]) }
