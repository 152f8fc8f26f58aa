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
	"github.com/megabin/megabin/runtime/machine/x87"
)

// CPU is one guest thread's register file and wasm instances. It is used by
// one goroutine at a time.
type CPU struct {
	engine  *Engine
	space   *AddressSpace
	handler Handler
	x87     x87.State
	fp      fpEnv

	module   api.Module // the instance of the cpu module
	regs     [abi.XMM0]api.MutableGlobal
	calls    []api.Function  // enter, one per depth of Run
	depth    int             // Runs that are active
	ctx      context.Context // of the innermost Run
	readXMM  api.Function
	writeXMM api.Function

	parts  map[partKey]api.Module
	owner  map[api.Module]*mapping // of a part
	linkTo context.Context         // resolves a part's imports to module, and its memory to space's
	exit   *Exit                   // set before a host function unwinds

	slots atomic.Uint32 // length of the table

	guard *atomic.Uint32 // abi.Guard, which beats write to
	stack uint32         // what it is otherwise: see SetStack
	pulse *pulse         // guest code may run: see catchUp
}

// partKey names a piece in an address space.
type partKey struct {
	of *mapping
	n  piece
}

// anonymous keeps wazero from registering instances by name, from calling
// _start, and from seeding a random source per instance, which took half of
// the time of instantiation.
var anonymous = wazero.NewModuleConfig().WithName("").WithStartFunctions().WithRandSource(rand.Reader)

// NewCPU returns a CPU in as, to which it takes a reference, with a zero
// register file.
func (e *Engine) NewCPU(as *AddressSpace, h Handler) (*CPU, error) {
	c := &CPU{
		engine: e, space: as, handler: h, x87: x87.NewState(),
		parts: map[partKey]api.Module{}, owner: map[api.Module]*mapping{},
	}
	module, err := e.runtime.InstantiateModule(context.Background(), e.cpu, anonymous)
	if err != nil {
		return nil, fmt.Errorf("BUG: instantiating the cpu module: %w", err)
	}
	c.module = module
	ctx := experimental.WithMemoryAllocator(context.Background(), alias{as})
	c.linkTo = experimental.WithImportResolver(ctx, func(string) api.Module { return module })
	for r := range c.regs {
		c.regs[r] = module.ExportedGlobal(abi.Reg(r).String()).(api.MutableGlobal)
	}
	if c.guard, err = wordOf(c.regs[abi.Guard]); err != nil {
		module.Close(context.Background())
		return nil, err
	}
	c.pulse = e.heart.attach(c.guard)
	c.guard.Store(abi.PollNow)
	c.SetReg(abi.MXCSR, mxcsrReset)
	c.slots.Store(1)
	as.Retain()
	as.mu.Lock()
	as.code.cpus[c] = struct{}{}
	as.mu.Unlock()
	return c, nil
}

// alias gives a part the memory of an address space, whose lifetime
// wazero does not know.
type alias struct{ as *AddressSpace }

func (a alias) Allocate(_, _ uint64) experimental.LinearMemory { return a }
func (a alias) Reallocate(uint64) []byte                       { return a.as.mem }
func (a alias) Free()                                          {}

// Close frees the CPU's instances and its reference to the address space.
func (c *CPU) Close() {
	if c.module == nil {
		return
	}
	as := c.space
	as.mu.Lock()
	delete(as.code.cpus, c)
	as.mu.Unlock()
	c.engine.heart.detach(c.pulse)
	for _, m := range c.parts {
		m.Close(context.Background())
	}
	c.module.Close(context.Background())
	c.module, c.parts, c.owner, c.calls = nil, nil, nil, nil
	as.Release()
}

// Space is the address space the CPU runs in.
func (c *CPU) Space() *AddressSpace { return c.space }

// Reg reads a register other than xmm. FS and GS are linear addresses: use
// FSBase and GSBase.
func (c *CPU) Reg(r abi.Reg) uint64 { return c.regs[r].Get() }

// SetReg writes a register other than xmm.
func (c *CPU) SetReg(r abi.Reg, v uint64) { c.regs[r].Set(v) }

// SetStack says where the stack that rsp is on begins, at guest address start: when
// a function that may recurse finds rsp below it, it polls at once. 0: nowhere. A
// new CPU polls as soon as it can. It is called from within a Handler.
func (c *CPU) SetStack(start uint64) {
	was := c.stack
	c.stack = linear(max(start, abi.PageBias))
	c.guard.CompareAndSwap(was, c.stack) // a beat may have come
}

// FSBase is the guest address of fs:0.
func (c *CPU) FSBase() uint64 { return guest(uint32(c.Reg(abi.FS))) }

// SetFSBase sets the guest address of fs:0.
func (c *CPU) SetFSBase(addr uint64) { c.SetReg(abi.FS, uint64(linear(addr))) }

// GSBase is the guest address of gs:0.
func (c *CPU) GSBase() uint64 { return guest(uint32(c.Reg(abi.GS))) }

// SetGSBase sets the guest address of gs:0.
func (c *CPU) SetGSBase(addr uint64) { c.SetReg(abi.GS, uint64(linear(addr))) }

// XMM reads register xmm i as low and high quadword.
func (c *CPU) XMM(i int) [2]uint64 {
	if c.readXMM == nil {
		c.readXMM = c.module.ExportedFunction("xmm")
	}
	s := [2]uint64{uint64(i)}
	c.must(c.readXMM.CallWithStack(context.Background(), s[:]))
	return s
}

// SetXMM writes register xmm i.
func (c *CPU) SetXMM(i int, v [2]uint64) {
	if c.writeXMM == nil {
		c.writeXMM = c.module.ExportedFunction("setxmm")
	}
	s := [3]uint64{uint64(i), v[0], v[1]}
	c.must(c.writeXMM.CallWithStack(context.Background(), s[:]))
}

// must checks a call of the cpu module's own functions.
func (c *CPU) must(err error) {
	if err != nil {
		panic(fmt.Sprintf("BUG: cpu module: %v", err))
	}
}

// CopyState makes the whole register file that of another CPU (fork, clone).
func (c *CPU) CopyState(from *CPU) {
	for r := range c.regs {
		if abi.Reg(r) != abi.Guard {
			c.SetReg(abi.Reg(r), from.Reg(abi.Reg(r)))
		}
	}
	for i := range 16 {
		c.SetXMM(i, from.XMM(i))
	}
	c.x87 = from.x87
	c.fp.live = from.fp.live
}
