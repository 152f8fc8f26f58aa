package machine

import (
	"context"

	"github.com/megabin/megabin/layers/abi"
)

// CPU is one guest thread's register file and wasm instances. It is used by
// one goroutine at a time.
type CPU struct {
	engine  *Engine
	space   *AddressSpace
	handler Handler
}

// Space is the address space the CPU runs in.
func (c *CPU) Space() *AddressSpace { return c.space }

// Run executes from the register file's pc and rsp until the Handler stops it
// or the guest faults. It may be called again, and from within a Handler.
func (c *CPU) Run(ctx context.Context) Exit { return Exit{Err: ErrClosed} }

// Reg reads a register other than xmm. FS and GS are linear addresses: use
// FSBase and GSBase.
func (c *CPU) Reg(r abi.Reg) uint64 { return 0 }

// SetReg writes a register other than xmm.
func (c *CPU) SetReg(r abi.Reg, v uint64) {}

// XMM reads register xmm i as low and high quadword.
func (c *CPU) XMM(i int) [2]uint64 { return [2]uint64{} }

// SetXMM writes register xmm i.
func (c *CPU) SetXMM(i int, v [2]uint64) {}

// FSBase is the guest address of fs:0.
func (c *CPU) FSBase() uint64 { return 0 }

// SetFSBase sets the guest address of fs:0.
func (c *CPU) SetFSBase(addr uint64) {}

// GSBase is the guest address of gs:0.
func (c *CPU) GSBase() uint64 { return 0 }

// SetGSBase sets the guest address of gs:0.
func (c *CPU) SetGSBase(addr uint64) {}

// CopyState makes the whole register file that of another CPU (fork, clone).
func (c *CPU) CopyState(from *CPU) {}

// Close frees the CPU's instances and its reference to the address space.
func (c *CPU) Close() {}
