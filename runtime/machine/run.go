package machine

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/sys"

	"github.com/megabin/megabin/layers/abi"
)

// pollEntries is the number of dispatcher entries between two polls: code may
// loop through the dispatcher alone.
const pollEntries = 256

// guestContext carries the CPU to host functions, which get the context of
// the call; a type assertion costs less than a lookup of a value.
type guestContext struct {
	context.Context
	cpu *CPU
}

// Run executes from the register file's pc and rsp until the Handler stops it
// or the guest faults. It may be called again, and from within a Handler. When
// ctx is done it ends at the next poll with ctx's error.
func (c *CPU) Run(ctx context.Context) Exit {
	if c.core == nil {
		return Exit{Err: ErrClosed}
	}
	if c.depth == len(c.calls) {
		c.calls = append(c.calls, call{})
	}
	outer, locks := c.ctx, c.fp.locks
	c.ctx = ctx
	c.depth++
	if c.fp.live {
		c.fp.lock()
	}
	c.resume()
	defer func() {
		c.suspend()
		c.fp.unlock(locks)
		c.depth--
		c.ctx = outer
	}()
	gc := &guestContext{ctx, c}
	for n := 1; ; n++ {
		if exit := c.step(gc); exit != nil {
			return *exit
		}
		c.engine.stats.reentries.Add(1)
		if n%pollEntries == 0 && !c.poll() {
			return *c.takeExit()
		}
	}
}

// step is one turn of the dispatcher: it enters the program at pc. It returns
// nil when the program is to be entered again.
func (c *CPU) step(ctx *guestContext) *Exit {
	pc := c.Reg(abi.PC)
	slot, ok := c.resolve(pc)
	if !ok {
		return c.takeExit()
	}
	call := &c.calls[c.depth-1]
	if call.Function == nil {
		if err := c.newCall(call); err != nil {
			return &Exit{Err: err}
		}
	}
	stack := [1]uint64{uint64(slot)}
	c.SetReg(abi.Target, uint64(slot))
	c.SetReg(abi.PC, 0)
	c.enterFP()
	outer := c.stay.begin(call.exec)
	err := call.CallWithStack(ctx, stack[:])
	fault := c.stay.end(outer)
	c.leaveFP()
	if err == nil {
		return nil
	}
	if isStackOverflow(err) {
		call.Function = nil // its stack is 50 MB
	}
	if c.exit == nil && errors.Is(err, errStop) {
		return nil
	}
	if e := c.takeExit(); e != nil {
		if e.Fault != nil {
			e.Fault.Trace = c.backtrace(err)
		}
		return e
	}
	return c.exitOf(err, fault)
}

// newCall makes another call of enter.
func (c *CPU) newCall(to *call) (err error) {
	to.Function = c.module.ExportedFunction("enter")
	to.exec, err = execOf(to.Function)
	return err
}

// resolve finds the slot of a function entry or a site. When there is none it sets exit.
func (c *CPU) resolve(addr uint64) (slot uint32, ok bool) {
	c.engine.stats.resolves.Add(1)
	slot, m, ok, err := c.space.resolve(addr)
	if !ok && err == nil && m != nil && c.space.onDemand(m, addr) {
		c.engine.stats.onDemand.Add(1)
		slot, m, ok, err = c.space.resolve(addr)
	}
	c.grow(c.space.code.end.Load()) // what is called now may call all of its unit by slot
	if err != nil {
		c.exit = &Exit{Err: err}
		return 0, false
	}
	if ok {
		return slot, true
	}
	if m == nil {
		c.fault(SEGV, addr, "jump to an address without a unit")
		return 0, false
	}
	off := uint32(addr - m.base)
	c.engine.stats.missing.Add(1)
	if f := c.engine.options.Missing; f != nil {
		f(c.space, m.unit, off)
	}
	id := m.unit.ID()
	c.fault(SEGV, addr, fmt.Sprintf("jump to offset %#x of unit %x, which is not a recompiled entry", off, id[:4]))
	return 0, false
}

// poll has code go on without polls for now and asks the handler; false means
// that exit is set.
func (c *CPU) poll() bool {
	c.guard.Store(c.stack)
	if err := c.ctx.Err(); err != nil {
		c.exit = &Exit{Err: err}
		return false
	}
	c.suspend()
	defer c.resume()
	if c.handler.Poll(c) {
		c.exit = &Exit{Stopped: true}
		return false
	}
	return true
}

// suspend and resume bracket what is done outside guest code and may take
// long.
func (c *CPU) suspend() { c.engine.heart.leave(c.pulse) }

func (c *CPU) resume() { c.engine.heart.enter(c.pulse) }

// fault sets the exit to a fault.
func (c *CPU) fault(kind FaultKind, pc uint64, reason string) {
	c.exit = &Exit{Fault: &Fault{Kind: kind, PC: pc, Reason: reason}}
}

// takeExit returns and clears the exit.
func (c *CPU) takeExit() *Exit {
	e := c.exit
	c.exit = nil
	return e
}

// What unwind panics with: wazero passes the first on as it is and makes a
// stack trace of the second.
var (
	errStop  = sys.NewExitError(0)
	errFault = errors.New("fault")
)

// unwind leaves guest code from within a host function, after exit was set.
func (c *CPU) unwind() {
	if c.exit.Fault != nil {
		panic(errFault)
	}
	panic(errStop)
}

// traps are wazero's errors (its internal/wasmruntime, which tells them apart
// by text only) and what a processor does in their place.
var traps = map[string]FaultKind{
	"out of bounds memory access":   SEGV,
	"integer divide by zero":        FPE,
	"integer overflow":              FPE, // the quotient of a division
	"invalid conversion to integer": FPE,
	"unreachable":                   ILL,
	"invalid table access":          SEGV, // a slot that was never given out
	"indirect call type mismatch":   SEGV,
	"unaligned atomic":              BUS,
	stackOverflow:                   SEGV,
}

const stackOverflow = "stack overflow"

func isStackOverflow(err error) bool { return err.Error() == stackOverflow }

// exitOf converts an error of a call into guest code, which an access to a host
// address ended if that is not 0.
func (c *CPU) exitOf(err error, fault uintptr) *Exit {
	cause := err
	if inner := errors.Unwrap(err); inner != nil {
		cause = inner
	}
	if kind, ok := traps[cause.Error()]; ok {
		f := &Fault{Kind: kind, PC: c.Reg(abi.PC), Reason: cause.Error(), Trace: c.backtrace(err)}
		if isStackOverflow(cause) {
			// wazero's stack was used up before the guest's: a program looks for
			// where its own is.
			f.Addr = c.Reg(abi.RSP)
		}
		if addr, ok := c.space.guestOf(fault); ok {
			f.Addr = addr
		}
		return &Exit{Fault: f}
	}
	return &Exit{Err: fmt.Errorf("running recompiled code: %w", err)}
}
