package machine

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/machine/x87"
)

// hostFunc is a host function of a CPU: arguments and results in stack, the
// caller's instance in from.
type hostFunc func(c *CPU, from api.Module, stack []uint64)

// hostFuncs are what the cpu module imports, in the order of its functions.
var hostFuncs = [fnResolve + 1]hostFunc{
	abi.FuncSyscall: hostSyscall,
	abi.FuncPoll:    hostPoll,
	abi.FuncTrap:    hostTrap,
	abi.FuncX87:     hostX87,
	abi.FuncHelper:  hostHelper,
	fnLoad:          hostLoad,
	fnResolve:       hostResolve,
}

// instantiateHost makes the module of the host functions. They are shared: the
// context tells the CPU.
func (e *Engine) instantiateHost(ctx context.Context) error {
	b := e.runtime.NewHostModuleBuilder(hostModule)
	for i, f := range hostFuncs {
		name, typ := "", abi.TypeVoid
		switch i {
		case fnLoad:
			name = "load"
		case fnResolve:
			name = "resolve"
		default:
			name, typ = abi.Imports[i].Name, abi.Imports[i].Type
		}
		t := abi.Types[typ]
		call := api.GoModuleFunc(func(ctx context.Context, from api.Module, stack []uint64) {
			c := ctx.(*guestContext).cpu
			c.leaveFP()
			f(c, from, stack)
			c.enterFP()
		})
		b.NewFunctionBuilder().WithGoModuleFunction(call, valueTypes(t.Params), valueTypes(t.Results)).Export(name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

// valueTypes converts to wazero's type, which has the same values.
func valueTypes(list []abi.ValType) []api.ValueType {
	out := make([]api.ValueType, len(list))
	for i, t := range list {
		out[i] = api.ValueType(t)
	}
	return out
}

func hostSyscall(c *CPU, _ api.Module, stack []uint64) {
	c.suspend()
	ret, stop := c.handler.Syscall(c, stack[0], [6]uint64(stack[1:7]))
	if stop {
		c.exit = &Exit{Stopped: true}
		c.unwind()
	}
	c.PastEnd() // what the kernel touched is not the guest's
	c.resume()
	if c.engine.options.Restless {
		c.SetReg(abi.RAX, ret)
		c.reenter()
	}
	c.SetReg(abi.PC, 0)
	stack[0] = ret
}

func hostPoll(c *CPU, _ api.Module, _ []uint64) {
	if !c.poll() {
		c.unwind()
	}
	if c.engine.options.Restless {
		c.reenter()
	}
	c.SetReg(abi.PC, 0)
}

// reenter leaves guest code, which the dispatcher then enters again at pc, if
// that can be done.
func (c *CPU) reenter() {
	if _, _, ok, _ := c.space.resolve(c.Reg(abi.PC)); ok {
		panic(errStop)
	}
}

// trapFaults are the faults of trap kinds.
var trapFaults = [...]struct {
	kind   FaultKind
	reason string
}{
	abi.TrapUD:           {ILL, "invalid opcode"},
	abi.TrapUntranslated: {ILL, "instruction that was not recompiled"},
	abi.TrapBreakpoint:   {TRAP, "int3"},
	abi.TrapDivide:       {FPE, "divide error"},
	abi.TrapPrivileged:   {SEGV, "privileged instruction"},
}

func hostTrap(c *CPU, from api.Module, stack []uint64) {
	kind, off := uint32(stack[0]), uint64(uint32(stack[1]))
	if int(kind) >= len(trapFaults) {
		c.exit = &Exit{Err: fmt.Errorf("trap of unknown kind %d: unit of a newer version?", kind)}
		c.unwind()
	}
	pc := uint64(0)
	if base, ok := c.base[from]; ok {
		pc = base + off
	}
	f := trapFaults[kind]
	c.fault(f.kind, pc, f.reason)
	c.unwind()
}

func hostResolve(c *CPU, _ api.Module, _ []uint64) {
	addr := c.Reg(abi.Target)
	slot, ok := c.resolve(addr)
	if !ok {
		c.unwind()
	}
	c.SetReg(abi.Target, uint64(slot)) // before the part is loaded: that of a site looks there
	if err := c.remember(addr, slot); err != nil {
		c.exit = &Exit{Err: err}
		c.unwind()
	}
}

func hostLoad(c *CPU, _ api.Module, _ []uint64) {
	if err := c.loadSlot(uint32(c.Reg(abi.Target))); err != nil {
		c.exit = &Exit{Err: err}
		c.unwind()
	}
}

func hostX87(c *CPU, _ api.Module, stack []uint64) {
	result, err := c.x87.Do(c.space.mem, abi.X87Op(stack[0]), int64(stack[1]))
	switch {
	case errors.Is(err, x87.ErrBounds):
		c.outOfBounds()
	case err != nil:
		c.exit = &Exit{Err: fmt.Errorf("unit of a newer version? %w", err)}
		c.unwind()
	}
	stack[0] = uint64(result)
}

// outOfBounds is a host function's access outside of linear memory.
func (c *CPU) outOfBounds() {
	c.fault(SEGV, 0, "out of bounds memory access")
	c.unwind()
}

// operand returns n bytes at a linear address for a host function.
func (c *CPU) operand(lin uint32, n int) []byte {
	mem := c.space.mem
	end := uint64(lin) + uint64(n)
	if end > uint64(len(mem)) || lin < MinAddr {
		c.outOfBounds()
	}
	return mem[lin:end:end]
}

// remember has the next call of what is at addr, which slot is for, find it in the core's table.
func (c *CPU) remember(addr uint64, slot uint32) error {
	if m, n, _ := c.space.pieceOf(slot); !c.has(m, n) {
		if err := c.loadSlot(slot); err != nil {
			return err
		}
	}
	c.space.mu.RLock()
	defer c.space.mu.RUnlock()
	if !c.space.code.holds(addr, slot) {
		return nil // another CPU has unmapped it
	}
	return c.byAddress.SetKeyed(abi.TableCode, linear(addr), abi.TableSlots, slot)
}

// loadSlot loads the part of a slot.
func (c *CPU) loadSlot(slot uint32) error {
	m, n, program := c.space.pieceOf(slot)
	if m == nil {
		return fmt.Errorf("BUG: call through slot %d, which no unit has", slot)
	}
	program.note(m.unit, n)
	return c.load(m, n, slot)
}
