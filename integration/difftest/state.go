// Package difftest runs snippets of x86-64 machine code on the processor of
// this machine and, recompiled, on an engine under test, from the same states
// of registers and memory, and compares the states afterwards. The processor
// is the oracle; what it leaves undefined is written down case by case.
//
// It knows the architectural state and the assembler, not how a snippet is
// recompiled: that is an Engine.
package difftest

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Guest addresses of the snippet's world. Each area is one page.
const (
	CodeBase  = 0x10000000
	DataBase  = 0x20000000
	StackBase = 0x20010000
	ExitAddr  = 0x30000000 // a snippet ends by jumping here
)

// Register numbers of State.GPR.
const (
	RAX = iota
	RCX
	RDX
	RBX
	RSP
	RBP
	RSI
	RDI
	R8
)

// EFLAGS bits.
const (
	CF    = 1 << 0
	PF    = 1 << 2
	AF    = 1 << 4
	ZF    = 1 << 6
	SF    = 1 << 7
	DF    = 1 << 10
	OF    = 1 << 11
	Arith = CF | PF | AF | ZF | SF | OF
)

// State is the architectural state before or after a snippet. Its layout is
// the runner's struct state.
type State struct {
	GPR    [16]uint64
	Flags  uint64
	Signal uint64    // the signal that ended the snippet, or 0
	FX     [512]byte // the image of fxsave
	Data   [512]byte // memory at DataBase
	Stack  [256]byte // memory at StackBase
}

// XMM is the image of xmm register i.
func (s *State) XMM(i int) []byte { return s.FX[160+16*i:][:16] }

// ST is the image of ST(i).
func (s *State) ST(i int) []byte { return s.FX[32+16*i:][:10] }

// MXCSR is the SSE control and status register.
func (s *State) MXCSR() uint32 { return binary.LittleEndian.Uint32(s.FX[24:]) }

// SetMXCSR sets it.
func (s *State) SetMXCSR(v uint32) { binary.LittleEndian.PutUint32(s.FX[24:], v) }

// Mask says what Diff ignores.
type Mask struct {
	Flags uint64 // EFLAGS bits; the rest of Arith and DF is compared
	MXCSR uint32 // bits
	X87   bool   // the whole x87 state
}

var gprNames = [16]string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}

// Diff describes how got differs from want, or returns "".
func Diff(got, want *State, m Mask) string {
	if got.Signal != want.Signal {
		return fmt.Sprintf("signal %d, want %d", got.Signal, want.Signal)
	}
	if want.Signal != 0 {
		return ""
	}
	var d strings.Builder
	for i, name := range gprNames {
		if got.GPR[i] != want.GPR[i] {
			fmt.Fprintf(&d, "  %s %#x, want %#x\n", name, got.GPR[i], want.GPR[i])
		}
	}
	if x := (got.Flags ^ want.Flags) &^ m.Flags & (Arith | DF); x != 0 {
		fmt.Fprintf(&d, "  flags %s, want %s (differ in %s)\n", FlagString(got.Flags), FlagString(want.Flags), FlagString(x))
	}
	for i := range 16 {
		diffBytes(&d, fmt.Sprintf("xmm%d", i), got.XMM(i), want.XMM(i))
	}
	if x := (got.MXCSR() ^ want.MXCSR()) &^ m.MXCSR; x != 0 {
		fmt.Fprintf(&d, "  mxcsr %#x, want %#x\n", got.MXCSR(), want.MXCSR())
	}
	if !m.X87 {
		diffX87(&d, got, want)
	}
	diffBytes(&d, "data", got.Data[:], want.Data[:])
	diffBytes(&d, "stack", got.Stack[:], want.Stack[:])
	return d.String()
}

func diffX87(d *strings.Builder, got, want *State) {
	diffBytes(d, "fcw", got.FX[:2], want.FX[:2])
	diffBytes(d, "fsw", got.FX[2:4], want.FX[2:4])
	diffBytes(d, "ftw", got.FX[4:5], want.FX[4:5])
	for i := range 8 {
		diffBytes(d, fmt.Sprintf("st%d", i), got.ST(i), want.ST(i))
	}
}

func diffBytes(d *strings.Builder, name string, got, want []byte) {
	for i := 0; i < len(got); i += 16 {
		end := min(i+16, len(got))
		if g, w := got[i:end], want[i:end]; string(g) != string(w) {
			if len(got) > 16 {
				fmt.Fprintf(d, "  %s+%#x %x, want %x\n", name, i, g, w)
			} else {
				fmt.Fprintf(d, "  %s %s, want %s\n", name, reversed(g), reversed(w))
			}
		}
	}
}

// reversed is b as one hexadecimal number.
func reversed(b []byte) string {
	var s strings.Builder
	for i := len(b) - 1; i >= 0; i-- {
		fmt.Fprintf(&s, "%02x", b[i])
	}
	return s.String()
}

// FlagString names the EFLAGS bits that are set.
func FlagString(f uint64) string {
	names := []struct {
		bit  uint64
		name string
	}{{OF, "O"}, {DF, "D"}, {SF, "S"}, {ZF, "Z"}, {AF, "A"}, {PF, "P"}, {CF, "C"}}
	s := ""
	for _, n := range names {
		if f&n.bit != 0 {
			s += n.name
		}
	}
	if s == "" {
		return "-"
	}
	return s
}
