package seccomp

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// insn is struct sock_filter: an instruction of classic BPF, see
// Documentation/networking/filter.rst.
type insn struct {
	code   uint16
	jt, jf uint8
	k      uint32
}

// Sizes: of an instruction in bytes, of a program in instructions, of the
// scratch memory in words.
const (
	InsnSize   = 8
	MaxInsns   = 4096 // BPF_MAXINSNS
	scratchLen = 16   // BPF_MEMWORDS
)

// Parts of a code, uapi/linux/bpf_common.h.
const (
	classMask = 0x07
	opMask    = 0xf0
	fromX     = unix.BPF_X
)

// alu are the arithmetic operations. A shift is by the low 5 bits.
var alu = map[uint16]func(a, b uint32) uint32{
	unix.BPF_ADD: func(a, b uint32) uint32 { return a + b },
	unix.BPF_SUB: func(a, b uint32) uint32 { return a - b },
	unix.BPF_MUL: func(a, b uint32) uint32 { return a * b },
	unix.BPF_DIV: func(a, b uint32) uint32 { return a / b },
	unix.BPF_AND: func(a, b uint32) uint32 { return a & b },
	unix.BPF_OR:  func(a, b uint32) uint32 { return a | b },
	bpfXor:       func(a, b uint32) uint32 { return a ^ b },
	unix.BPF_LSH: func(a, b uint32) uint32 { return a << (b & 31) },
	unix.BPF_RSH: func(a, b uint32) uint32 { return a >> (b & 31) },
}

// bpfXor is BPF_XOR.
const bpfXor = 0xa0

// tests are the conditions of jumps.
var tests = map[uint16]func(a, b uint32) bool{
	unix.BPF_JEQ:  func(a, b uint32) bool { return a == b },
	unix.BPF_JGT:  func(a, b uint32) bool { return a > b },
	unix.BPF_JGE:  func(a, b uint32) bool { return a >= b },
	unix.BPF_JSET: func(a, b uint32) bool { return a&b != 0 },
}

// Program is a filter that was checked: it ends, and reads and writes only
// what it has.
type Program []insn

// Parse reads an array of struct sock_filter. EINVAL for what the kernel does
// not take either.
func Parse(raw []byte) (Program, error) {
	n := len(raw) / InsnSize
	if n == 0 || n > MaxInsns {
		return nil, unix.EINVAL
	}
	p := make(Program, n)
	for i := range p {
		b := raw[i*InsnSize:]
		p[i] = insn{binary.LittleEndian.Uint16(b), b[2], b[3], binary.LittleEndian.Uint32(b[4:])}
	}
	for i, in := range p {
		if !in.valid(n - i - 1) {
			return nil, unix.EINVAL
		}
	}
	if p[n-1].code&classMask != unix.BPF_RET || !p.readsWhatItWrote() {
		return nil, unix.EINVAL
	}
	return p, nil
}

// valid tells whether an instruction may be in a filter in which after others
// follow it: bpf_check_classic and seccomp_check_filter.
func (in insn) valid(after int) bool {
	op := in.code & opMask
	switch in.code &^ (opMask | fromX) {
	case unix.BPF_ALU:
		return in.validALU(op)
	case unix.BPF_JMP:
		if op == unix.BPF_JA {
			return in.code&fromX == 0 && int64(in.k) < int64(after)
		}
		return tests[op] != nil && int(max(in.jt, in.jf)) < after
	}
	switch in.code {
	case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
		return in.k < DataSize && in.k%4 == 0
	case unix.BPF_LD | unix.BPF_MEM, unix.BPF_LDX | unix.BPF_MEM, unix.BPF_ST, unix.BPF_STX:
		return in.k < scratchLen
	case unix.BPF_LD | unix.BPF_W | unix.BPF_LEN, unix.BPF_LDX | unix.BPF_W | unix.BPF_LEN,
		unix.BPF_LD | unix.BPF_IMM, unix.BPF_LDX | unix.BPF_IMM,
		unix.BPF_MISC | unix.BPF_TAX, unix.BPF_MISC | unix.BPF_TXA, unix.BPF_RET | unix.BPF_K, unix.BPF_RET | unix.BPF_A:
		return true
	}
	return false
}

func (in insn) validALU(op uint16) bool {
	switch constant := in.code&fromX == 0; {
	case op == unix.BPF_NEG:
		return constant
	case constant && op == unix.BPF_DIV:
		return in.k != 0
	case constant && (op == unix.BPF_LSH || op == unix.BPF_RSH):
		return in.k < 32
	}
	return alu[op] != nil
}

// readsWhatItWrote tells whether all paths to a read of a word of scratch
// memory write it before. Jumps only go forward.
func (p Program) readsWhatItWrote() bool {
	written := make([]uint16, len(p)+1) // on all paths to an instruction
	for i := range written[1:] {
		written[i+1] = 1<<scratchLen - 1
	}
	reach := func(i int, have uint16) { written[i] &= have }
	for i, in := range p {
		have := written[i]
		switch in.code & classMask {
		case unix.BPF_ST, unix.BPF_STX:
			have |= 1 << in.k
		case unix.BPF_LD, unix.BPF_LDX:
			if in.code&0xe0 == unix.BPF_MEM && have&(1<<in.k) == 0 {
				return false
			}
		case unix.BPF_RET:
			continue
		case unix.BPF_JMP:
			if in.code&opMask == unix.BPF_JA {
				reach(i+1+int(in.k), have)
			} else {
				reach(i+1+int(in.jt), have)
				reach(i+1+int(in.jf), have)
			}
			continue
		}
		reach(i+1, have)
	}
	return true
}

// run is what the program returns for a system call.
func (p Program) run(data *[DataSize]byte) uint32 {
	m := machine{data: data}
	for pc := 0; ; pc++ {
		in := p[pc]
		operand := in.k
		if in.code&fromX != 0 {
			operand = m.x
		}
		op := in.code & opMask
		switch in.code & classMask {
		case unix.BPF_RET:
			if in.code == unix.BPF_RET|unix.BPF_A {
				return m.a
			}
			return in.k
		case unix.BPF_JMP:
			pc += in.jump(op, m.a, operand)
		case unix.BPF_ALU:
			switch {
			case op == unix.BPF_NEG:
				m.a = -m.a
			case op == unix.BPF_DIV && operand == 0:
				return 0
			default:
				m.a = alu[op](m.a, operand)
			}
		default:
			m.move(in)
		}
	}
}

// jump is how many instructions are left out.
func (in insn) jump(op uint16, a, operand uint32) int {
	switch {
	case op == unix.BPF_JA:
		return int(in.k)
	case tests[op](a, operand):
		return int(in.jt)
	}
	return int(in.jf)
}

// machine is the registers and memory of a running filter.
type machine struct {
	a, x    uint32
	scratch [scratchLen]uint32
	data    *[DataSize]byte
}

// move does a load, a store or a move between registers.
func (m *machine) move(in insn) {
	switch in.code {
	case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
		m.a = binary.LittleEndian.Uint32(m.data[in.k:])
	case unix.BPF_LD | unix.BPF_W | unix.BPF_LEN:
		m.a = DataSize
	case unix.BPF_LDX | unix.BPF_W | unix.BPF_LEN:
		m.x = DataSize
	case unix.BPF_LD | unix.BPF_IMM:
		m.a = in.k
	case unix.BPF_LDX | unix.BPF_IMM:
		m.x = in.k
	case unix.BPF_LD | unix.BPF_MEM:
		m.a = m.scratch[in.k]
	case unix.BPF_LDX | unix.BPF_MEM:
		m.x = m.scratch[in.k]
	case unix.BPF_ST:
		m.scratch[in.k] = m.a
	case unix.BPF_STX:
		m.scratch[in.k] = m.x
	case unix.BPF_MISC | unix.BPF_TAX:
		m.x = m.a
	case unix.BPF_MISC | unix.BPF_TXA:
		m.a = m.x
	}
}
