// Package wasm turns a function of the intermediate representation into the
// body of a WebAssembly function: control flow becomes structured (Ramsey:
// Beyond Relooper, 2022), values become expression trees and locals, calls
// follow the ABI of layers/abi. It knows nothing of x86, ELF or modules.
//
// The engine neither moves nor merges operations, so the shape of the output
// is the shape of the machine code: see docs/architecture.md for what the
// emitter does about that.
//
// The steps: place (which values are trees, locals or made anew at each
// use), slots (liveness and a local for each value, in SSA's dominance
// order), regions (which blocks are entered through a dispatcher), emit.
package wasm

import (
	"sync"

	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// Env says where the functions that are called directly are.
type Env interface {
	// Callee returns the ordinal of the function at an entry (unit offset) and
	// whether it is in the same part as the function being compiled.
	Callee(entry uint32) (ordinal uint32, samePart bool)
	// Base returns where unit offset 0 is, if that is the same for all that run the code.
	Base() (addr uint32, fixed bool)
}

// Code is the body of a wasm function.
type Code struct {
	Body  []byte      // locals and expression: a code entry without its size
	Calls []unit.Call // the padded function indexes in Body, ascending
	Sites []unit.Site
	Lost  int // calls, system calls and polls that are no site
}

// Compile emits f. It returns an error for a function it can't express; a
// malformed one (ir.Verify) may panic.
func Compile(f *ir.Func, env Env) (Code, error) {
	c := compilers.Get().(*compiler)
	*c = compiler{f: f, env: env, cfg: ir.NewCFG(f), memory: c.memory}
	defer compilers.Put(c)
	c.place()
	c.findSlots()
	c.liveness()
	c.findRegions()
	c.assign()
	e := newEmitter(c)
	e.function()
	return e.finish()
}

// compiler holds what the steps learn about one function.
type compiler struct {
	f   *ir.Func
	env Env
	cfg *ir.CFG

	stmts [][]*ir.Value // by block position: what is emitted, in order
	linAt int32         // slot of the unit's linear address, or -1
	spAt  int32         // slot of the stack pointer, or -1

	liveIn, liveOut []ir.Set // by block position: cross-block slots
	crossSlots      []int32  // by number in those sets
	locals          []ir.Type
	pollLive        [][]int32 // by block position: slots live at its start, its parameters included

	regions
	memory
}

// memory is what is kept from function to function, so as not to be made
// anew.
type memory struct {
	values []valueInfo // by value ID
	calls  []callInfo
	slots  []slot
	reads  readList
	work   []*ir.Value
	stmt   []*ir.Value // all of stmts
	code   []byte
	bytes  ir.Slab[byte] // of what restorers find
}

var compilers = sync.Pool{New: func() any { return new(compiler) }}

// valueInfo is what is known of a value.
type valueInfo struct {
	alias  *ir.Value // the value that it is the same as, or nil
	usedIn *ir.Block // the block of the last use seen, nil for a poll
	uses   int32     // by live values
	slot   int32     // index in slots plus one; 0: none
	call   int32     // index in calls plus one; 0: none
	site   int32     // number of the last site whose restorer came across it
	code   int32     // index in that restorer's codes
	place  place
}

// callInfo is what is known of a value with results or a site.
type callInfo struct {
	results [2]*ir.Value
	live    []int32 // slots live after it, its results included
}

// reset forgets the last function.
func (m *memory) reset(f *ir.Func) {
	n := f.NumValues()
	if cap(m.values) < n {
		m.values = make([]valueInfo, n, n+n/4)
	}
	m.values = m.values[:n]
	clear(m.values)
	clear(m.calls)
	m.calls, m.slots = m.calls[:0], m.slots[:0]
	m.reads.reset()
}

// call is what is known of v, which has results or is a site.
func (c *compiler) call(v *ir.Value) *callInfo {
	info := &c.values[v.ID]
	if info.call == 0 {
		c.calls = append(c.calls, callInfo{})
		info.call = int32(len(c.calls))
	}
	return &c.calls[info.call-1]
}

// results gives the results of v; of most values all are nil.
func (c *compiler) results(v *ir.Value) [2]*ir.Value {
	if i := c.values[v.ID].call; i > 0 {
		return c.calls[i-1].results
	}
	return [2]*ir.Value{}
}

// slotOf gives the index of v's slot, or -1.
func (c *compiler) slotOf(v *ir.Value) int32 { return c.values[v.ID].slot - 1 }

func (c *compiler) isUsed(v *ir.Value) bool { return c.values[v.ID].uses > 0 }

// finish puts the locals in front of the code.
func (e *emitter) finish() (Code, error) {
	head := localsVector(e.c.locals[paramCount:])
	body := append(append(make([]byte, 0, len(head)+len(e.b)), head...), e.b...)
	e.c.code = e.b
	for i := range e.calls {
		e.calls[i].Off += uint32(len(head))
	}
	for i := range e.sites {
		e.sites[i].Off += uint32(len(head))
	}
	return Code{Body: body, Calls: e.calls, Sites: e.sites, Lost: e.lost}, e.err
}

// paramCount is the number of parameters of every function; they are its
// first locals.
var paramCount = len(abi.Types[abi.TypeFunc].Params)

func localsVector(types []ir.Type) []byte {
	type run struct {
		n int
		t ir.Type
	}
	var runs []run
	for _, t := range types {
		if n := len(runs); n > 0 && runs[n-1].t == t {
			runs[n-1].n++
			continue
		}
		runs = append(runs, run{1, t})
	}
	b := wasmenc.AppendU(nil, uint64(len(runs)))
	for _, r := range runs {
		b = append(wasmenc.AppendU(b, uint64(r.n)), byte(valTypes[r.t]))
	}
	return b
}

var valTypes = [...]abi.ValType{ir.I32: abi.I32, ir.I64: abi.I64, ir.F32: abi.F32, ir.F64: abi.F64, ir.V128: abi.V128}
