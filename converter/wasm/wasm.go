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
	c := &compiler{f: f, env: env, cfg: ir.NewCFG(f)}
	c.place()
	c.findSlots()
	c.liveness()
	c.findRegions()
	c.assign()
	c.findBases()
	e := newEmitter(c)
	e.function()
	return e.finish()
}

// compiler holds what the steps learn about one function.
type compiler struct {
	f   *ir.Func
	env Env
	cfg *ir.CFG

	alias   []*ir.Value    // by value ID: the value it is the same as
	uses    []int32        // by value ID: uses by live values
	usedIn  []*ir.Block    // by value ID: the block of the last use seen, nil for a poll
	places  []place        // by value ID
	stmts   [][]*ir.Value  // by block position: what is emitted, in order
	results [][2]*ir.Value // by value ID of a call: its results

	slots  []slot
	slotOf []int32 // by value ID: index in slots, or -1
	isBase []bool  // by slot: see findBases
	linAt  int32   // slot of the unit's linear address, or -1
	spAt   int32   // slot of the stack pointer, or -1

	liveIn, liveOut []bitset // by block position: cross-block slots
	crossSlots      []int32  // by number in those sets
	locals          []ir.Type
	siteLive        map[*ir.Value][]int32 // slots live after a call, its results included
	pollLive        map[*ir.Block][]int32 // slots live at a block's start, its parameters included

	regions
}

// finish puts the locals in front of the code.
func (e *emitter) finish() (Code, error) {
	head := localsVector(e.c.locals[paramCount:])
	body := append(head, e.b...)
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
