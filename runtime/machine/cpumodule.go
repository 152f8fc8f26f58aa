package machine

import (
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// hostModule is the module name of the host functions that the cpu module
// imports: abi.Imports that aren't wasm, load and resolve.
const hostModule = "host"

// Functions of the cpu module. Those below fnLoad are host functions in the
// order of abi.Imports.
const (
	fnLoad        = abi.FuncMulHU + iota // loads the part of the target register's slot
	fnResolve                            // makes the guest address in the target register a slot
	fnMulHU                              // abi.FuncMulHU
	fnMulHS                              // abi.FuncMulHS
	fnAgain                              // abi.FuncAgain
	fnStub                               // what a slot holds until its part is loaded
	fnResolveStub                        // slotResolve
	fnEnter                              // (slot): the dispatcher's step
	fnGrow                               // (n): adds n slots that hold the stub
	fnXMM                                // (i) → low, high
	fnSetXMM                             // (i, low, high)
	endFn
)

// slotResolve is the slot of the function that stands in for what abi.TableCode does not have. It
// asks the host, and calls what that found.
const slotResolve = 0

// Type indexes of the cpu module after those of abi.Types.
const (
	typeSlot = abi.NumTypes + iota
	typeXMM
	typeSetXMM
)

var cpuTypes = append(abi.Types[:],
	abi.FuncType{Params: []abi.ValType{abi.I32}},
	abi.FuncType{Params: []abi.ValType{abi.I32}, Results: []abi.ValType{abi.I64, abi.I64}},
	abi.FuncType{Params: []abi.ValType{abi.I32, abi.I64, abi.I64}},
)

// cpuFuncs are the functions the module defines, from fnMulHU on.
var cpuFuncs = []struct {
	name string
	typ  byte
	body []byte
}{
	{abi.Imports[abi.FuncMulHU].Name, abi.TypeMul, mulHighUnsigned()},
	{abi.Imports[abi.FuncMulHS].Name, abi.TypeMul, mulHighSigned()},
	{abi.Imports[abi.FuncAgain].Name, abi.TypeFunc, again()},
	{"stub", abi.TypeFunc, stub(fnLoad)},
	{"resolvestub", abi.TypeFunc, stub(fnResolve)},
	{"enter", typeSlot, enter()},
	{"grow", typeSlot, grow()},
	{"xmm", typeXMM, readXMM()},
	{"setxmm", typeSetXMM, writeXMM()},
}

// cpuModule is the binary of the cpu module.
func cpuModule() []byte {
	b := []byte(wasmenc.Header)
	for _, s := range []struct {
		id    byte
		items [][]byte
	}{
		{wasmenc.SectionType, cpuTypeItems()},
		{wasmenc.SectionImport, cpuImportItems()},
		{wasmenc.SectionFunction, cpuFunctionItems()},
		{wasmenc.SectionTable, [][]byte{
			abi.TableSlots: {byte(abi.Funcref), 0, 1},
			abi.TableCode:  append([]byte{byte(abi.Funcref)}, abi.TableLimits[abi.TableCode]...),
		}},
		{wasmenc.SectionMemory, [][]byte{unit.Memory()}},
		{wasmenc.SectionGlobal, cpuGlobalItems()},
		{wasmenc.SectionExport, cpuExportItems()},
		{wasmenc.SectionElement, [][]byte{
			append(asm{0}.i32(slotResolve), wasmenc.OpEnd, 1, byte(fnResolveStub)),
			{3, 0, 1, byte(fnStub)}, // declares ref.func fnStub
		}},
		{wasmenc.SectionCode, cpuCodeItems()},
	} {
		b = wasmenc.AppendSection(b, s.id, vector(s.items))
	}
	return b
}

// vector is a count and that many items.
func vector(items [][]byte) []byte {
	b := wasmenc.AppendU(nil, uint64(len(items)))
	for _, it := range items {
		b = append(b, it...)
	}
	return b
}

func cpuTypeItems() (items [][]byte) {
	for _, t := range cpuTypes {
		b := []byte{wasmenc.TypeFuncForm}
		for _, list := range [][]abi.ValType{t.Params, t.Results} {
			b = wasmenc.AppendU(b, uint64(len(list)))
			for _, v := range list {
				b = append(b, byte(v))
			}
		}
		items = append(items, b)
	}
	return items
}

func cpuImportItems() (items [][]byte) {
	item := func(name string, typ int) []byte {
		b := wasmenc.AppendName(wasmenc.AppendName(nil, hostModule), name)
		return append(b, wasmenc.KindFunc, byte(typ))
	}
	for _, f := range abi.Imports[:fnLoad] {
		items = append(items, item(f.Name, f.Type))
	}
	return append(items, item("load", abi.TypeVoid), item("resolve", abi.TypeVoid))
}

func cpuFunctionItems() (items [][]byte) {
	for _, f := range cpuFuncs {
		items = append(items, []byte{f.typ})
	}
	return items
}

func cpuCodeItems() (items [][]byte) {
	for _, f := range cpuFuncs {
		items = append(items, wasmenc.AppendBytes(nil, f.body))
	}
	return items
}

func cpuGlobalItems() (items [][]byte) {
	for r := range abi.NumRegs {
		var init asm
		switch r.Type() {
		case abi.I32:
			init = init.i32(0)
		case abi.I64:
			init = init.i64(0)
		case abi.V128:
			init = append(init.op(opPrefixFD, fdV128Const), make([]byte, 16)...)
		}
		b := append([]byte{byte(r.Type()), wasmenc.Mutable}, init...)
		items = append(items, append(b, wasmenc.OpEnd))
	}
	return items
}

func cpuExportItems() (items [][]byte) {
	export := func(name string, kind byte, index int) {
		b := append(wasmenc.AppendName(nil, name), kind)
		items = append(items, wasmenc.AppendU(b, uint64(index)))
	}
	for i, f := range abi.Imports[:fnLoad] {
		export(f.Name, wasmenc.KindFunc, i)
	}
	for i, f := range cpuFuncs {
		export(f.name, wasmenc.KindFunc, fnMulHU+i)
	}
	for i, name := range abi.TableNames {
		export(name, wasmenc.KindTable, i)
	}
	for r := range abi.NumRegs {
		export(r.String(), wasmenc.KindGlobal, int(r))
	}
	return items
}

// stub has the type of a guest function: it calls the host, then the slot that
// is in the target register afterwards, in its place. It puts no parameter in the register
// file: one that the function does not need is zero, and its register may have
// to keep what it holds.
func stub(host uint32) []byte { return asm{}.call(host).callTarget().function(0, 0) }

// callTarget calls the slot in the target register with this function's parameters, in its place.
func (a asm) callTarget() asm {
	for i := range abi.Types[abi.TypeFunc].Params {
		a = a.get(uint32(i))
	}
	return a.load(abi.Target).indirect(opReturnCallIndirect)
}

// again polls and calls the function whose entry pc was, in its place.
func again() []byte {
	const entry = 5
	a := asm{}.load(abi.PC).set(entry).call(abi.FuncPoll).get(entry).op(opI32WrapI64).store(abi.Target)
	for i := range abi.Types[abi.TypeFunc].Params {
		a = a.get(uint32(i))
	}
	return a.load(abi.Target).byAddress(opReturnCallIndirect).function(1, abi.I64)
}

// enter calls the function in a slot with arguments from the register file
// and, when it returned normally, puts there what a processor would have
// after its ret.
func enter() []byte {
	const slot, sp, ra, rax, rdx = 0, 1, 2, 3, 4
	a := asm{}.
		load(abi.RSP).op(opI32WrapI64).
		load(abi.ParamRegs[:]...).
		get(slot).indirect(wasmenc.OpCallIndirect).
		op(opI64ExtendI32U).set(sp).set(rdx).set(rax).op(opI64ExtendI32U).set(ra).
		get(ra).op(opI64Eqz).op(opIf, blockTypeEmpty, wasmenc.OpReturn, wasmenc.OpEnd).
		get(ra).store(abi.PC).get(rax).store(abi.RAX).get(rdx).store(abi.RDX).
		get(sp).i64(8).op(opI64Add).store(abi.RSP)
	return a.function(4, abi.I64)
}

// grow adds slots. The host knows the table's size and checks no result.
func grow() []byte {
	const drop = 0x1a
	a := asm{}.with(opRefFunc, fnStub).get(0).op(wasmenc.OpPrefixFC, fcTableGrow, 0).op(drop)
	return a.function(0, 0)
}

// mulHighUnsigned is Hacker's Delight 8-2, with 64-bit words.
func mulHighUnsigned() []byte {
	const a, b, w = 0, 1, 2
	low := func(s asm, l uint32) asm { return s.get(l).i64(0xffffffff).op(opI64And) }
	high := func(s asm, l uint32) asm { return s.get(l).i64(32).op(opI64ShrU) }
	s := low(low(asm{}, a), b).op(opI64Mul).i64(32).op(opI64ShrU)
	s = low(high(s, a), b).op(opI64Mul, opI64Add).set(w) // w = a1*b0 + (a0*b0 >> 32)
	s = high(high(s, a), b).op(opI64Mul)
	s = high(s, w).op(opI64Add)
	s = high(low(s, a), b).op(opI64Mul)
	s = low(s, w).op(opI64Add).i64(32).op(opI64ShrU, opI64Add)
	return s.function(1, abi.I64)
}

// mulHighSigned is Hacker's Delight 8-3: the unsigned product less each factor
// where the other is negative.
func mulHighSigned() []byte {
	s := asm{}.get(0, 1).call(fnMulHU)
	for _, l := range [][2]uint32{{0, 1}, {1, 0}} {
		s = s.get(l[0]).i64(63).op(opI64ShrS).get(l[1]).op(opI64And, opI64Sub)
	}
	return s.function(0, 0)
}

// xmmSwitch is a br_table over the 16 xmm registers; each does body(register)
// and returns.
func xmmSwitch(body func(asm, abi.Reg) asm) []byte {
	var s asm
	for range 16 {
		s = s.op(opBlock, blockTypeEmpty)
	}
	s = s.get(0).op(opBrTable, 15)
	for i := range byte(16) {
		s = s.op(i)
	}
	for i := range abi.Reg(16) {
		s = body(s.op(wasmenc.OpEnd), abi.XMM0+i).op(wasmenc.OpReturn)
	}
	const unreachable = 0x00
	return s.op(unreachable).function(0, 0)
}

func readXMM() []byte {
	return xmmSwitch(func(s asm, r abi.Reg) asm {
		return s.load(r).op(opPrefixFD, fdI64x2ExtractLane, 0).load(r).op(opPrefixFD, fdI64x2ExtractLane, 1)
	})
}

func writeXMM() []byte {
	return xmmSwitch(func(s asm, r abi.Reg) asm {
		return s.get(1).op(opPrefixFD, fdI64x2Splat).get(2).op(opPrefixFD, fdI64x2ReplaceLane, 1).store(r)
	})
}
