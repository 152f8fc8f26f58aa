// Package machine is the processor and the memory of the runner: an
// AddressSpace is 4 GiB of guest memory with its mappings, a CPU runs
// recompiled code in it until a system call, a fault or a stop. It implements
// package abi (docs/architecture.md is the contract) on top of wazero, of
// which it is the only user. It knows nothing of Linux beyond mmap's prot bits
// and errnos, of ELF, or of how a file is found to have recompiled code.
//
// Lock order: AddressSpace.mu, fetcher.mu, Engine.mu; program.mu is a leaf. No lock is held while guest
// code runs or a Handler is called.
package machine

import (
	"errors"
	"fmt"
)

// ErrClosed is returned by use of an Engine or a CPU after Close.
var ErrClosed = errors.New("machine: closed")

// Unit is what the machine needs of one recompiled ELF. Implementations are
// immutable, comparable with ==, and safe for concurrent use.
type Unit interface {
	// ID is the hash of the original file.
	ID() [32]byte
	// Functions is the number of functions; ordinals are below it.
	Functions() int
	// Lookup returns the ordinal of the function whose entry is at unit
	// offset off.
	Lookup(off uint32) (ordinal int, ok bool)
	// PartOf is the part a function is loaded with.
	PartOf(ordinal int) int
	// Part returns part n as a module with an init(lin, slots) export, and the
	// ordinals of its functions.
	Part(n int) (wasm []byte, ordinals []int, err error)
	// PartID returns a hash of the module that Part returns, and the ordinals of its functions,
	// ascending, without making it. ok is false if there is no such part.
	PartID(n int) (id [32]byte, ordinals []int, ok bool)
	// Site returns the number of the site at unit offset off: a place in the
	// middle of a function where execution can go on.
	Site(off uint32) (n int, ok bool, err error)
	// Resume returns a module like a part's whose init fills one slot, that in
	// the target register, with a function which goes on at site n, and the
	// function that the site is in.
	Resume(n int) (wasm []byte, ordinal int, err error)
}

// Handler is the kernel of a CPU. Its methods are called on the goroutine of
// Run while the register file is in sync; they may read and change it, and may
// call Run on the same CPU again (a signal handler) before they return.
type Handler interface {
	// Syscall does system call nr with args rdi, rsi, rdx, r10, r8, r9 and
	// returns what goes to rax; pc is the address of the next instruction. With stop, Run returns at once and ret is
	// not used: the Handler sets rax itself if it matters.
	Syscall(c *CPU, nr uint64, args [6]uint64) (ret uint64, stop bool)
	// Poll is called from time to time by code that makes no system calls; pc is
	// the address of the next instruction.
	Poll(c *CPU) (stop bool)
	// Fault is called at an access that can be repeated, SEGV or BUS. With neither retry nor
	// stop, Run returns with the fault. Only registers that a signal handler may look
	// at by chance are in the register file: what the code was doing is not.
	Fault(c *CPU, f *Fault) (retry, stop bool)
}

// FaultKind is the signal that a processor's exception becomes.
type FaultKind uint8

// Kinds of faults.
const (
	SEGV FaultKind = iota + 1
	FPE
	ILL
	TRAP
	BUS
)

var faultNames = [...]string{SEGV: "SIGSEGV", FPE: "SIGFPE", ILL: "SIGILL", TRAP: "SIGTRAP", BUS: "SIGBUS"}

// String is the signal's name.
func (k FaultKind) String() string { return faultNames[k] }

// Fault says why guest code can't go on.
type Fault struct {
	Kind   FaultKind
	PC     uint64 // guest address of the instruction, of what follows an int3, or a little before it (Go); 0 if unknown
	Addr   uint64 // guest address that was touched, 0 if unknown
	Reason string // for people

	// Trace has the entries of the functions that were active, innermost
	// first, as far as they are known. Tail calls and abnormal exits are not
	// in it.
	Trace []uint64
}

// Error describes the fault.
func (f *Fault) Error() string {
	where := ""
	if f.PC != 0 {
		where = fmt.Sprintf(" at %#x", f.PC)
	} else if len(f.Trace) > 0 {
		where = fmt.Sprintf(" in the function at %#x", f.Trace[0])
	}
	return fmt.Sprintf("%s%s: %s", f.Kind, where, f.Reason)
}

// Exit is why Run returned: exactly one field is set.
type Exit struct {
	Stopped bool   // the Handler asked for it
	Fault   *Fault // the guest did something a processor faults at
	Err     error  // the machine could not go on: a broken unit, or a bug
}

// Options of an Engine.
type Options struct {
	// CacheDir keeps compiled parts between processes, and which of them
	// programs need; empty: no cache.
	CacheDir string
	// Restless makes every system call and poll give up the wasm stack and go on
	// by a resume function, for tests: a program must not notice.
	Restless bool
	// Missing, if set, is told of each jump to a place of a unit that is no
	// known entry, before the CPU faults.
	Missing func(as *AddressSpace, u Unit, off uint32)
	// OnDemand, if set, recompiles what a jump to unit offset off of u asks for, u
	// having no entry there; file is the content of the file that is mapped there. The
	// result has the same base as u and an entry at off.
	OnDemand func(u Unit, file []byte, off uint32) (Unit, bool)
	// FindUnit, if set, finds a unit that is not mapped yet, so that parts a
	// program is likely to need are compiled from SetProgram on rather than
	// from MapUnit on. It must return the same Unit as will be mapped.
	FindUnit func(id [32]byte) (Unit, bool)
}

// Stats are counters of an Engine since its start.
type Stats struct {
	PartsCompiled uint64 // parts and resume functions compiled or taken from the cache directory
	PartsLoaded   uint64 // instantiated, over all CPUs
	CompileNanos  uint64 // wall time in compilation, summed over goroutines
	CompiledBytes uint64 // wasm bytes compiled
	Resolves      uint64 // addresses that the machine was asked for
	Missing       uint64 // jumps to no known entry
	OnDemand      uint64 // jumps to what was recompiled for them
	Reentries     uint64 // entries of the dispatcher after a Run's first
}
