package machine

import (
	"context"

	"github.com/tetratelabs/wazero/api"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/machine/x87"
)

// CPU is one guest thread: a core, and what surrounds it. It is used by one
// goroutine at a time.
type CPU struct {
	*core // nil after Close

	space   *AddressSpace
	handler Handler
	x87     x87.State
	fp      fpEnv

	calls []call          // enter, one per depth of Run
	depth int             // Runs that are active
	ctx   context.Context // of the innermost Run
	exit  *Exit           // set before a host function unwinds

	stack uint32 // what abi.Guard is when no beat came: see SetStack
	pulse *pulse // guest code may run

	touches uint64 // of all touches, those that this CPU knows of
	stay    *stay
}

// call is an engine's function with a stack of its own.
type call struct {
	api.Function
	exec uintptr // its executionContext
}

// NewCPU returns a CPU in as, to which it takes a reference, with a zero
// register file.
func (e *Engine) NewCPU(as *AddressSpace, h Handler) (*CPU, error) {
	core, err := as.takeCore()
	if err != nil {
		return nil, err
	}
	c := &CPU{core: core, space: as, handler: h, x87: x87.NewState(), touches: sigbuses.Load(), stay: newStay()}
	c.pulse = e.heart.attach(c.guard)
	c.guard.Store(abi.PollNow)
	c.SetReg(abi.MXCSR, mxcsrReset)
	as.Retain()
	as.mu.Lock()
	as.code.cpus[c] = struct{}{}
	as.mu.Unlock()
	return c, nil
}

// Close gives the CPU's core and its reference back to the address space.
func (c *CPU) Close() {
	if c.core == nil {
		return
	}
	as := c.space
	as.mu.Lock()
	delete(as.code.cpus, c)
	as.mu.Unlock()
	c.engine.heart.detach(c.pulse)
	if c.depth > 0 {
		c.core.close() // its code is still to be left
	} else {
		c.stay.free()
		as.putCore(c.core)
	}
	c.core, c.calls = nil, nil
	as.Release()
}

// Space is the address space the CPU runs in.
func (c *CPU) Space() *AddressSpace { return c.space }

// SetStack says where the stack that rsp is on begins, at guest address start: when
// a function that may recurse finds rsp below it, it polls at once. 0: nowhere. A
// new CPU polls as soon as it can. It is called from within a Handler.
func (c *CPU) SetStack(start uint64) {
	was := c.stack
	c.stack = linear(max(start, abi.MinAddress))
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
