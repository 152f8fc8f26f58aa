package wasmenc

// Control instructions that Reader.Instr tells apart (5.4.1).
const (
	OpUnreachable        = 0x00
	OpBlock              = 0x02
	OpLoop               = 0x03
	OpIf                 = 0x04
	OpElse               = 0x05
	OpReturnCallIndirect = 0x13
	BlockEmpty           = 0x40 // a block type without parameters and results
)

// immediates says what follows an opcode.
type immediates byte

const (
	illegal immediates = iota // not an instruction that units use
	immNone
	immBlock  // a block type: empty or one value
	immIndex  // one LEB128 number
	immTwo    // two of them
	immTable  // a vector of numbers and one more
	immSigned // an i32 or i64
	immF32
	immF64
	immMem  // alignment and offset
	immTest // a result type vector: select t
)

// plain has the immediates of the opcodes without prefix.
var plain = buildPlain()

func buildPlain() (t [256]immediates) {
	set := func(from, to int, i immediates) {
		for op := from; op <= to; op++ {
			t[op] = i
		}
	}
	set(0x00, 0x01, immNone) // unreachable, nop
	set(0x02, 0x04, immBlock)
	set(0x05, 0x05, immNone)
	set(0x0b, 0x0b, immNone)
	set(0x0c, 0x0d, immIndex) // br, br_if
	set(0x0e, 0x0e, immTable)
	set(0x0f, 0x0f, immNone)
	set(0x10, 0x10, immIndex)
	set(0x11, 0x11, immTwo)
	set(0x12, 0x12, immIndex)
	set(0x13, 0x13, immTwo)
	set(0x1a, 0x1b, immNone) // drop, select
	set(0x1c, 0x1c, immTest)
	set(0x20, 0x26, immIndex) // locals, globals, tables
	set(0x28, 0x3e, immMem)
	set(0x3f, 0x40, immIndex) // memory.size, memory.grow
	set(0x41, 0x42, immSigned)
	set(0x43, 0x43, immF32)
	set(0x44, 0x44, immF64)
	set(0x45, 0xc4, immNone)
	set(0xd0, 0xd0, immIndex)
	set(0xd1, 0xd1, immNone)
	set(0xd2, 0xd2, immIndex)
	return t
}

// Instr skips one instruction with its immediates, and the opcodes that
// structured instructions consist of (block, else, end) one at a time. It
// returns the opcode, or the prefix of a longer one.
func (r *Reader) Instr() byte {
	op := r.Byte()
	switch op {
	case OpPrefixFC:
		r.bulk()
	case 0xfd:
		r.vector()
	case 0xfe:
		r.atomic()
	default:
		r.immediates(op)
	}
	return op
}

func (r *Reader) immediates(op byte) {
	switch plain[op] {
	case immNone:
	case immBlock:
		r.Byte()
	case immIndex:
		r.U()
	case immSigned:
		r.skipS()
	case immTwo, immMem:
		r.U()
		r.U()
	case immTable:
		for range r.Count(1) + 1 {
			r.U()
		}
	case immTest:
		r.Vector()
	case immF32:
		r.Bytes(4)
	case immF64:
		r.Bytes(8)
	default:
		r.Fail("opcode %#x", op)
	}
}

// skipS skips a signed LEB128 of at most 64 bits.
func (r *Reader) skipS() {
	for range 10 {
		if r.Byte() < 0x80 {
			return
		}
	}
	r.Fail("LEB128 number exceeds 64 bits")
}

// bulk skips the rest of an instruction with prefix 0xfc.
func (r *Reader) bulk() {
	switch n := r.U(); {
	case n < 8: // saturating conversions
	case n == 9, n == 11, n == 13, n >= 15 && n <= 17:
		r.U()
	case n == 8, n == 10, n == 12, n == 14:
		r.U()
		r.U()
	default:
		r.Fail("opcode 0xfc %#x", n)
	}
}

// vector skips the rest of a vector instruction.
func (r *Reader) vector() {
	switch n := r.U(); {
	case n <= 11, n == 92, n == 93: // loads and stores
		r.U()
		r.U()
	case n == 12, n == 13: // v128.const, i8x16.shuffle
		r.Bytes(16)
	case n >= 21 && n <= 34: // lanes
		r.Byte()
	case n >= 84 && n <= 91: // loads and stores of lanes
		r.U()
		r.U()
		r.Byte()
	case n > 0xff:
		r.Fail("opcode 0xfd %#x", n)
	}
}

// atomic skips the rest of an atomic instruction.
func (r *Reader) atomic() {
	switch n := r.U(); {
	case n == 3: // atomic.fence
		r.Byte()
	case n <= 2, n >= 0x10 && n <= 0x4e:
		r.U()
		r.U()
	default:
		r.Fail("opcode 0xfe %#x", n)
	}
}
