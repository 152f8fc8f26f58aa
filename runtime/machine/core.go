package machine

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/megabin/megabin/layers/abi"
)

// core is the wasm side of a CPU: an instance of the cpu module, which has the
// registers and the table, and those of the parts that were loaded. All have one
// linear memory as theirs, and slots as one address space gave them out. It outlives its CPU: the next
// one of the same address space may have it, or of another address space in
// the same memory which gives out slots alike. For to instantiate the parts it needs
// takes a short process more time than all that it does.
type core struct {
	engine   *Engine
	module   api.Module // the instance of the cpu module
	regs     [abi.XMM0]api.MutableGlobal
	readXMM  api.Function // each has a stack, so they are made when they are called
	writeXMM api.Function
	guard    *atomic.Uint32 // abi.Guard, which beats write to

	parts  map[partKey]loaded
	linked map[uint32]api.Module // of linked pieces, by the slot of their unit's ordinal 0
	base   map[api.Module]uint64 // of a part's unit
	linkTo context.Context       // resolves a part's imports to module, and its memory

	slots     atomic.Uint32 // length of the table
	byAddress keyed         // abi.TableCode
}

// keyed is what an instance has for keyed tables beyond wazero's.
type keyed interface {
	// SetKeyed makes the element key of a keyed table that of index from in another.
	SetKeyed(table, key, other, from uint32) error
	// SetMissing makes an element of another table stand for all that a keyed one does not have.
	SetMissing(table, other, from uint32) error
	// ClearKeyed takes the elements from first to last out of a keyed table.
	ClearKeyed(table, first, last uint32)
}

// partKey names a piece in an address space: slots is that of its unit's
// ordinal 0.
type partKey struct {
	slots uint32
	n     piece
}

// loaded is an instance of a piece, which linked pieces share.
type loaded struct {
	inst api.Module
	part *part
	unit Unit
	base uint64
}

// anonymous keeps wazero from registering instances by name, from calling
// _start, and from seeding a random source per instance, which took half of
// the time of instantiation.
var anonymous = wazero.NewModuleConfig().WithName("").WithStartFunctions().WithRandSource(rand.Reader)

// newCore is a core without parts for linear memory mem.
func (e *Engine) newCore(mem []byte) (*core, error) {
	ctx := experimental.WithMemoryAllocator(context.Background(), alias(mem))
	module, err := e.runtime.InstantiateModule(ctx, e.cpu, anonymous)
	if err != nil {
		return nil, fmt.Errorf("BUG: instantiating the cpu module: %w", err)
	}
	c := &core{
		engine: e, module: module,
		parts: map[partKey]loaded{}, linked: map[uint32]api.Module{}, base: map[api.Module]uint64{},
	}
	c.linkTo = experimental.WithImportResolver(ctx, func(string) api.Module { return module })
	for r := range c.regs {
		c.regs[r] = module.ExportedGlobal(abi.Reg(r).String()).(api.MutableGlobal)
	}
	if c.guard, err = wordOf(c.regs[abi.Guard]); err != nil {
		c.close()
		return nil, err
	}
	c.slots.Store(slotResolve + 1)
	c.byAddress = module.(keyed) // the cpu module could not be compiled otherwise
	if err := c.byAddress.SetMissing(abi.TableCode, abi.TableSlots, slotResolve); err != nil {
		c.close()
		return nil, fmt.Errorf("BUG: the cpu module's tables: %w", err)
	}
	return c, nil
}

// alias gives a module linear memory, whose lifetime wazero does not know.
type alias []byte

func (a alias) Allocate(_, _ uint64) experimental.LinearMemory { return a }
func (a alias) Reallocate(uint64) []byte                       { return a }
func (a alias) Free()                                          {}

// close frees the instances.
func (c *core) close() {
	for _, p := range c.parts {
		p.inst.Close(context.Background())
	}
	c.module.Close(context.Background())
}

// reset makes the register file zero.
func (c *core) reset() {
	for _, r := range c.regs {
		r.Set(0)
	}
	for i := range 16 {
		c.SetXMM(i, [2]uint64{})
	}
}

// Reg reads a register other than xmm. FS and GS are linear addresses: use
// FSBase and GSBase.
func (c *core) Reg(r abi.Reg) uint64 { return c.regs[r].Get() }

// SetReg writes a register other than xmm.
func (c *core) SetReg(r abi.Reg, v uint64) { c.regs[r].Set(v) }

// XMM reads register xmm i as low and high quadword.
func (c *core) XMM(i int) [2]uint64 {
	if c.readXMM == nil {
		c.readXMM = c.module.ExportedFunction("xmm")
	}
	s := [2]uint64{uint64(i)}
	c.must(c.readXMM.CallWithStack(context.Background(), s[:]))
	return s
}

// SetXMM writes register xmm i.
func (c *core) SetXMM(i int, v [2]uint64) {
	if c.writeXMM == nil {
		c.writeXMM = c.module.ExportedFunction("setxmm")
	}
	s := [3]uint64{uint64(i), v[0], v[1]}
	c.must(c.writeXMM.CallWithStack(context.Background(), s[:]))
}

// must checks a call of the cpu module's own functions.
func (c *core) must(err error) {
	if err != nil {
		panic(fmt.Sprintf("BUG: cpu module: %v", err))
	}
}

// grow gives the table all slots below end.
func (c *core) grow(end uint32) {
	have := c.slots.Load()
	if have >= end {
		return
	}
	stack := [1]uint64{uint64(end - have)}
	c.must(c.module.ExportedFunction("grow").CallWithStack(context.Background(), stack[:]))
	c.slots.Store(end)
}

// load has piece n of m's unit write its functions to the table; slot is the one that was called.
func (c *core) load(m *mapping, n piece, slot uint32) error {
	key := partKey{m.slots, n}
	if _, ok := c.parts[key]; ok {
		return fmt.Errorf("BUG: part %d did not fill a slot of its own", n)
	}
	p := c.engine.part(m.unit, n)
	if p.err != nil {
		return p.err
	}
	var inst api.Module
	var err error
	if p.linked != nil {
		inst, err = c.link(m, n, p, slot)
	} else {
		inst, err = c.instantiate(m, p)
	}
	if err != nil {
		return fmt.Errorf("loading part %d: %w", n, err)
	}
	c.parts[key] = loaded{inst, p, m.unit, m.base}
	c.base[inst] = m.base
	c.engine.stats.loaded.Add(1)
	return nil
}

// has reports whether a piece of m's unit is loaded.
func (c *core) has(m *mapping, n piece) bool {
	if m == nil {
		return false
	}
	_, ok := c.parts[partKey{m.slots, n}]
	return ok
}

// forget takes what is at the addresses from first to last out of the table by addresses.
func (c *core) forget(first, last uint32) { c.byAddress.ClearKeyed(abi.TableCode, first, last) }

// instantiate makes an instance of p's own, and calls its init.
func (c *core) instantiate(m *mapping, p *part) (api.Module, error) {
	inst, err := c.engine.runtime.InstantiateModule(c.linkTo, p.module, anonymous)
	if err != nil {
		return nil, err
	}
	start := inst.ExportedFunction(abi.InitName)
	if start == nil {
		return nil, fmt.Errorf("no export %s", abi.InitName)
	}
	stack := [2]uint64{uint64(linear(m.base)), uint64(m.slots)}
	return inst, start.CallWithStack(context.Background(), stack[:])
}
