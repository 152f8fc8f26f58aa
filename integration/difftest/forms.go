package difftest

import (
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/x86"
)

// Form is an instruction with the kinds of its operands, in the manual's
// notation ("ADD r32, m32"): what the table of docs/instructions.md has a row for.
type Form struct {
	Name string
	Op   x86asm.Op
	Inst x86.Inst // a specimen

	encodings []encoding
}

// encoding is a way to encode a form, without the choice of registers.
type encoding struct {
	lock   bool
	prefix byte // 66, F2, F3 or 0
	wide   bool // REX.W
	escape string
	opcode byte
	reg    byte // ModRM.reg where it belongs to the opcode, else the first that decodes
	mod    byte // 0 or 3
	rm     byte
	fixed  bool // rm belongs to the opcode
}

var escapes = []string{"", "\x0f", "\x0f\x38", "\x0f\x3a"}

// Forms enumerates what the decoder knows: every opcode of every map with
// each mandatory prefix, operand size and kind of operand.
func Forms() []*Form {
	byName := map[string]*Form{}
	var forms []*Form
	visitEncodings(func(e encoding) {
		in, ok := e.decode(e.bytes(e.reg, e.rm, 0x21))
		if !ok {
			return
		}
		name := formName(&in)
		f := byName[name]
		if f == nil {
			f = &Form{Name: name, Op: in.Op, Inst: in}
			byName[name] = f
			forms = append(forms, f)
		}
		f.encodings = append(f.encodings, e)
	})
	slices.SortStableFunc(forms, func(a, b *Form) int { return strings.Compare(a.Name, b.Name) })
	return forms
}

func visitEncodings(visit func(encoding)) {
	for _, lock := range []bool{false, true} {
		for _, esc := range escapes {
			for op := range 256 {
				if esc == "" && isPrefix(byte(op)) || esc == "\x0f" && (op == 0x38 || op == 0x3a) {
					continue
				}
				for _, p := range []byte{0, 0x66, 0xf2, 0xf3} {
					for _, w := range []bool{false, true} {
						e := encoding{lock: lock, prefix: p, wide: w, escape: esc, opcode: byte(op)}
						e.visitModRM(visit)
					}
				}
			}
		}
	}
}

// isPrefix is true for what is not an opcode of one byte.
func isPrefix(b byte) bool {
	return b == 0x0f || b&0xf0 == 0x40 || b&^0x18 == 0x26 || b >= 0x64 && b <= 0x67 || b == 0xf0 || b == 0xf2 || b == 0xf3 || b == 0x62 || b == 0xc4 || b == 0xc5
}

// visitModRM visits e with each ModRM.reg and mod, and each rm where that may
// select an instruction.
func (e encoding) visitModRM(visit func(encoding)) {
	for e.reg = range byte(8) {
		e.mod, e.rm, e.fixed = 0, 3, false
		visit(e)
		if e.escape == "" && e.opcode == 0xd9 && e.reg == 3 {
			continue // D9 D8+i, undocumented: fstp to us, but never at fault when ST(0) is empty
		}
		e.mod = 3
		e.fixed = e.escape == "" && e.opcode >= 0xd8 && e.opcode <= 0xdf || e.escape == "\x0f" && (e.opcode == 1 || e.opcode == 0xae || e.opcode == 0x1e)
		if !e.fixed {
			e.rm = 1
			visit(e)
			continue
		}
		for e.rm = range byte(8) {
			visit(e)
		}
	}
}

// memory is a way to address the data; ModRM's mod and rm, and what follows.
type memory struct {
	mod, rm byte
	tail    []byte
}

// memories are ways to address dataMid or what is near it.
var memories = []memory{
	{0, 3, nil}, {1, 3, []byte{0x10}}, {1, 3, []byte{0xf0}}, {2, 3, []byte{0x30, 0, 0, 0}}, {2, 3, []byte{0xe0, 0xff, 0xff, 0xff}}, // [rbx+disp]
	{0, 4, []byte{0x23}}, {1, 4, []byte{0xa3, 0x20}}, // [rbx+disp] with SIB
	{0, 4, []byte{0x25, 0x40, 0x01, 0, DataBase >> 24}}, // [disp32]
}

// bytes encodes e with registers; imm follows ModRM, and zeros.
func (e encoding) bytes(reg, rm byte, imm byte) []byte {
	return append(e.head(reg, memory{mod: e.mod, rm: rm}, false), imm, 0, 0, 0, 0, 0, 0, 0)
}

// head encodes e up to the immediate.
func (e encoding) head(reg byte, m memory, addr32 bool) []byte {
	var b []byte
	if addr32 {
		b = append(b, 0x67)
	}
	if e.lock {
		b = append(b, 0xf0)
	}
	if e.prefix != 0 {
		b = append(b, e.prefix)
	}
	rex := reg>>3<<2 | m.rm>>3
	if e.wide {
		rex |= 8
	}
	if rex != 0 {
		b = append(b, 0x40|rex)
	}
	b = append(append(b, e.escape...), e.opcode)
	return append(append(b, m.mod<<6|reg&7<<3|m.rm&7), m.tail...)
}

// decode decodes code, if it is something of which the prefixes mean something.
func (e encoding) decode(code []byte) (x86.Inst, bool) {
	in, err := x86.Decode(code, CodeBase)
	if err != nil || in.Op == x86.VEX || in.Op == x86.Unannounced {
		return in, false
	}
	return in, true
}

func isMem(a x86asm.Arg) bool {
	_, ok := a.(x86asm.Mem)
	return ok
}

// formName is a form in the manual's notation.
func formName(in *x86.Inst) string {
	var args []string
	for _, a := range in.Args {
		if a == nil {
			break
		}
		args = append(args, operandKind(in, a))
	}
	name := repeatPrefix(in) + x86.OpName(in.Op) + " " + strings.Join(args, ", ")
	if in.Op == x86asm.PUSH || in.Op == x86asm.POP || in.Op == x86asm.ENTER || in.Op == x86asm.LEAVE {
		if in.DataSize == 16 {
			name = "o16 " + name
		}
	}
	return strings.TrimSpace(name)
}

// repeatPrefix is the lock or repeat prefix that is in force.
func repeatPrefix(in *x86.Inst) string {
	for _, p := range in.Prefix {
		if p == 0 {
			break
		}
		if p&(x86asm.PrefixImplicit|x86asm.PrefixIgnored|x86asm.PrefixInvalid) != 0 {
			continue
		}
		switch p & 0xff {
		case x86asm.PrefixLOCK:
			return "LOCK "
		case x86asm.PrefixREP & 0xff:
			if isString(in.Op) {
				return "REP "
			}
		case x86asm.PrefixREPN & 0xff:
			if isString(in.Op) {
				return "REPNE "
			}
		}
	}
	return ""
}

var stringOps = func() map[x86asm.Op]bool {
	m := map[x86asm.Op]bool{}
	for _, op := range []x86asm.Op{x86asm.MOVSB, x86asm.MOVSW, x86asm.MOVSD, x86asm.MOVSQ, x86asm.STOSB, x86asm.STOSW, x86asm.STOSD, x86asm.STOSQ,
		x86asm.LODSB, x86asm.LODSW, x86asm.LODSD, x86asm.LODSQ, x86asm.SCASB, x86asm.SCASW, x86asm.SCASD, x86asm.SCASQ, x86asm.CMPSB, x86asm.CMPSW, x86asm.CMPSD, x86asm.CMPSQ} {
		m[op] = true
	}
	return m
}()

func isString(op x86asm.Op) bool { return stringOps[op] }

// operandKind is r32, m64, xmm, imm and so on.
func operandKind(in *x86.Inst, a x86asm.Arg) string {
	switch a := a.(type) {
	case x86asm.Mem:
		if stringOps[in.Op] {
			return "m"
		}
		return "m" + memBits[in.MemBytes]
	case x86asm.Imm:
		return "imm"
	case x86asm.Rel:
		return "rel"
	case x86asm.Reg:
		for _, c := range registerClasses {
			if a >= c.first && a <= c.last {
				return c.name
			}
		}
	}
	return "?"
}

var memBits = map[int]string{1: "8", 2: "16", 4: "32", 6: "48", 8: "64", 10: "80", 16: "128"}

var registerClasses = []struct {
	first, last x86asm.Reg
	name        string
}{
	{x86asm.AL, x86asm.R15B, "r8"}, {x86asm.AX, x86asm.R15W, "r16"}, {x86asm.EAX, x86asm.R15L, "r32"}, {x86asm.RAX, x86asm.R15, "r64"},
	{x86asm.F0, x86asm.F7, "st"}, {x86asm.M0, x86asm.M7, "mm"}, {x86asm.X0, x86asm.X15, "xmm"},
	{x86asm.ES, x86asm.GS, "sreg"}, {x86asm.CR0, x86asm.CR15, "cr"}, {x86asm.DR0, x86asm.DR15, "dr"},
}

// Variant is the machine code of f with registers, addressing and immediates
// of r's choice; rsp is left alone, and memory is at rbx.
func (f *Form) Variant(r Random) []byte {
	for range 200 {
		e := pick(r, f.encodings)
		reg, m := e.reg, memory{mod: e.mod, rm: e.rm}
		if !f.groupReg(e) {
			reg = byte(r.IntN(16))
		}
		switch {
		case e.fixed:
		case e.mod == 3:
			m.rm = byte(r.IntN(16))
		default:
			m = pick(r, memories)
		}
		code := append(e.head(reg, m, r.IntN(4) == 0), make([]byte, 8)...)
		in, ok := e.decode(code)
		if !ok || formName(&in) != f.Name || !confined(&in) {
			continue
		}
		code = code[:in.Len]
		if e.escape == "" && e.opcode&^3 == 0xa0 { // moffs
			putAddress(code[in.Len-in.AddrSize/8:], DataBase+8*r.Uint32N(32))
		}
		e.immediate(r, code, &in)
		return code
	}
	return nil
}

// putAddress fills b, of 4 or 8 bytes.
func putAddress(b []byte, addr uint32) {
	clear(b)
	binary.LittleEndian.PutUint32(b, addr)
}

// groupReg reports whether ModRM.reg is part of e's opcode: another one gives
// another instruction or none.
func (f *Form) groupReg(e encoding) bool {
	for reg := range byte(8) {
		in, ok := e.decode(e.bytes(reg, e.rm, 0x21))
		if !ok || in.Op != f.Op {
			return true
		}
	}
	return e.fixed
}

// confined reports whether in leaves rsp alone and reaches no memory but the
// data: a bit offset in the base register would be large.
func confined(in *x86.Inst) bool {
	for i, a := range in.Args {
		switch a {
		case x86asm.SPB, x86asm.SP, x86asm.ESP, x86asm.RSP:
			return false
		case x86asm.BX, x86asm.EBX, x86asm.RBX:
			if i == 1 && isMem(in.Args[0]) && strings.HasPrefix(x86.OpName(in.Op), "BT") {
				return false
			}
		}
	}
	return true
}

// immediate fills in the immediate bytes at the end of code.
func (e encoding) immediate(r Random, code []byte, in *x86.Inst) {
	n := e.immediateLen()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], r.Int())
	switch {
	case in.Op == x86asm.ENTER: // within the stack
		b = [8]byte{byte(r.IntN(32)), 0, byte(r.IntN(4))}
	case (in.Op == x86asm.SHLD || in.Op == x86asm.SHRD) && in.DataSize == 16:
		b[0] = byte(r.IntN(17)) // above 16 "the result is undefined"
	case n == 1 && r.IntN(2) == 0:
		b[0] = byte(r.IntN(40))
	}
	copy(code[len(code)-n:], b[:n])
}

// immediateLen is how many bytes of e are its immediate. An immediate that
// changes with the byte in ModRM's place is all there is behind the opcode.
func (e encoding) immediateLen() int {
	code := e.bytes(e.reg, e.rm, 0x21)
	at := len(code) - 9
	in, _ := e.decode(code)
	code[at] ^= 0x09
	other, _ := e.decode(code)
	i := slices.IndexFunc(in.Args[:], isImm)
	switch {
	case i < 0:
		return 0
	case isImm(other.Args[i]) && in.Args[i] != other.Args[i]:
		return in.Len - at
	}
	return in.Len - at - 1
}

func isImm(a x86asm.Arg) bool {
	_, ok := a.(x86asm.Imm)
	return ok
}
