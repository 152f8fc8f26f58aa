// Package resume makes from a function's body the body of a function that
// begins at one of its sites: what a thread needs to go on in the middle of a
// function with an empty wasm stack (docs/architecture.md, "Entering
// anywhere"). It copies WebAssembly and knows nothing of what the code means,
// of x86, or of how the result is run.
package resume

import (
	"slices"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// Body returns the body of the resume function of site s in a function with
// the given body and direct calls. It has the same type and locals. Its direct
// calls go through the table: it stands in a module of its own.
//
// What is left to run is the rest of the innermost construct that the site is
// in, then the rest of the next one, and so on. A construct is entered in its
// middle, so an if is no more than a block; a loop, once the turn that was
// begun has been finished, is the whole loop.
func Body(body []byte, calls []unit.Call, s unit.Site) ([]byte, error) {
	r := wasmenc.NewReader(body)
	for range r.Count(2) {
		r.U()
		r.Byte()
	}
	open, err := enclosing(r, int(s.Off))
	if err != nil {
		return nil, err
	}
	head := body[:open[0].start]
	c := &copier{body: body, calls: calls, out: slices.Clone(head)}
	c.out = appendRegisters(c.out)
	for _, code := range s.Restore {
		c.out = append(c.out, code...)
	}
	c.rest(open, int(s.Off))
	return c.out, nil
}

// construct is a block, loop, if, or the whole function, around a site.
type construct struct {
	op          byte // 0 for the function
	start       int  // of its instructions
	opcode      int  // where the structured instruction begins
	middle, end int  // after the instructions the site is among (an else or end), and after all
}

// enclosing finds the constructs around a site, from the outside in.
func enclosing(r *wasmenc.Reader, site int) ([]construct, error) {
	open := []construct{{start: r.Offset(), opcode: r.Offset()}}
	around := 0 // how many of open are around the site, once it is passed
	var found []construct
	for len(open) > 0 {
		at := r.Offset()
		if at == site {
			around = len(open)
			found = slices.Clone(open)
		}
		op := r.Instr()
		if r.Err() != nil {
			return nil, r.Err()
		}
		switch op {
		case wasmenc.OpBlock, wasmenc.OpLoop, wasmenc.OpIf:
			open = append(open, construct{op: op, opcode: at, start: r.Offset()})
		case wasmenc.OpElse, wasmenc.OpEnd:
			n := len(open)
			if n <= around && found[n-1].middle == 0 {
				found[n-1].middle = at
			}
			if op == wasmenc.OpEnd {
				if n <= around {
					found[n-1].end = r.Offset()
					around = n - 1
				}
				open = open[:n-1]
			}
		}
	}
	if r.Len() > 0 {
		r.Fail("%d bytes after the function", r.Len())
	}
	if found == nil {
		r.Fail("no instruction begins at %d", site)
	}
	return found, r.Err()
}

// copier copies spans of a body.
type copier struct {
	body  []byte
	calls []unit.Call
	out   []byte
}

// rest writes what is left to run of the constructs, from the site on.
func (c *copier) rest(open []construct, site int) {
	for range open[1:] {
		c.out = append(c.out, wasmenc.OpBlock, wasmenc.BlockEmpty)
	}
	for i := len(open) - 1; i > 0; i-- {
		k := open[i]
		c.copy(site, k.middle)
		if k.op != wasmenc.OpLoop {
			c.out = append(c.out, wasmenc.OpEnd)
		} else { // control never comes out at the end of a unit's loop
			c.out = append(c.out, wasmenc.OpUnreachable, wasmenc.OpEnd)
			c.copy(k.opcode, k.end)
		}
		site = k.end
	}
	c.copy(site, len(c.body))
}

// copy copies a span. Calls to functions of the part become calls through the
// table.
func (c *copier) copy(from, to int) {
	i, _ := slices.BinarySearchFunc(c.calls, from, func(k unit.Call, at int) int { return int(k.Off) - at })
	for ; i < len(c.calls) && int(c.calls[i].Off) < to; i++ {
		opcode := int(c.calls[i].Off) - 1
		c.out = append(c.out, c.body[from:opcode]...)
		c.call(c.body[opcode], c.calls[i].Target)
		from = opcode + 1 + wasmenc.PaddedLen
	}
	c.out = append(c.out, c.body[from:to]...)
}

// call calls function ordinal through the table; the arguments are on the
// stack.
func (c *copier) call(op byte, ordinal uint32) {
	indirect := byte(wasmenc.OpCallIndirect)
	if op == wasmenc.OpReturnCall {
		indirect = wasmenc.OpReturnCallIndirect
	}
	b := wasmenc.AppendU(append(c.out, wasmenc.OpGlobalGet), uint64(abi.GlobalSlots))
	b = wasmenc.AppendS(append(b, wasmenc.OpI32Const), int64(int32(ordinal)))
	b = wasmenc.AppendU(append(b, wasmenc.OpI32Add, wasmenc.OpGlobalSet), uint64(abi.Target))
	b = wasmenc.AppendU(append(b, wasmenc.OpGlobalGet), uint64(abi.Target))
	c.out = append(b, indirect, abi.TypeFunc, 0)
}

// appendRegisters puts the parameters into the register file, where Restore
// looks for them.
func appendRegisters(b []byte) []byte {
	b = append(b, wasmenc.OpLocalGet, 0, wasmenc.OpI64ExtendI32U, wasmenc.OpGlobalSet)
	b = wasmenc.AppendU(b, uint64(abi.RSP))
	for i, r := range abi.ParamRegs {
		b = append(b, wasmenc.OpLocalGet, byte(1+i), wasmenc.OpGlobalSet)
		b = wasmenc.AppendU(b, uint64(r))
	}
	return b
}
