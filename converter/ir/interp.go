package ir

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/megabin/megabin/layers/abi"
)

// Interp runs functions for tests: slowly, and with every access checked. It
// does not poll.
type Interp struct {
	Mem   []byte // linear memory
	Regs  [abi.NumRegs]Word
	Lin   uint32 // linear address of unit offset 0
	Steps int    // operations left; running out is ErrSteps

	// Call runs a callee; the target of an indirect one is the last argument.
	Call    func(m *Interp, info *CallInfo, args []Word) (Returned, error)
	Syscall func(m *Interp, args []Word) (uint64, error)
	Helper  func(m *Interp, op abi.HelperOp, args []Word) (r0, r1 uint64, err error)
	X87     func(m *Interp, op int64, x uint64) (uint64, error)
}

// Word is a value of any type. An I32 or F32 is in the low half of Lo.
type Word struct{ Lo, Hi uint64 }

// Returned is what a function hands back; RA is 0 after an abnormal exit.
type Returned struct {
	RA, SP   uint32 // return address, and the linear address where it was
	RAX, RDX uint64
}

// What ends a function other than a return.
var (
	ErrSteps  = errors.New("out of steps")
	ErrBounds = errors.New("out of bounds memory access")
	ErrDivide = errors.New("integer division fault")
)

// TrapError is a Trap that was reached.
type TrapError struct {
	Kind abi.TrapKind
	At   uint32 // unit offset
}

func (e *TrapError) Error() string { return fmt.Sprintf("trap of kind %d at %#x", e.Kind, e.At) }

// frame is one activation.
type frame struct {
	m    *Interp
	sp   uint32
	args Args
	vals []Word
}

// Args are the values of abi.ParamRegs.
type Args [len(abi.ParamRegs)]uint64

// Run executes f, which must be well-formed.
func (m *Interp) Run(f *Func, sp uint32, args Args) (Returned, error) {
	fr := &frame{m: m, sp: sp, args: args, vals: make([]Word, f.NumValues())}
	b := f.Blocks[0]
	for {
		for _, v := range b.Values {
			if m.Steps--; m.Steps < 0 {
				return Returned{}, ErrSteps
			}
			left, err := fr.step(v)
			if left || err != nil {
				return Returned{}, err
			}
		}
		if m.Steps--; m.Steps < 0 {
			return Returned{}, ErrSteps
		}
		e := fr.next(&b.Term)
		if e == nil {
			return fr.end(&b.Term)
		}
		fr.enter(e)
		b = e.To
	}
}

// next is the edge that control takes, nil if the function ends.
func (fr *frame) next(t *Term) *Edge {
	switch t.Kind {
	case Jump:
		return &t.Succs[0]
	case Branch:
		if fr.u32(t.Cond) != 0 {
			return &t.Succs[0]
		}
		return &t.Succs[1]
	case Switch:
		return &t.Succs[min(uint64(fr.u32(t.Cond)), uint64(len(t.Succs)-1))]
	}
	return nil
}

func (fr *frame) enter(e *Edge) {
	args := fr.words(e.Args)
	for i, p := range e.To.Params {
		fr.vals[p.ID] = args[i]
	}
}

func (fr *frame) end(t *Term) (Returned, error) {
	args := fr.words(t.Args)
	switch t.Kind {
	case Return:
		return Returned{uint32(args[0].Lo), uint32(args[3].Lo), args[1].Lo, args[2].Lo}, nil
	case TailCall:
		return fr.m.Call(fr.m, t.Info, args)
	case Leave:
		fr.m.Regs[abi.PC], fr.m.Regs[abi.RSP] = Word{Lo: args[0].Lo}, Word{Lo: args[1].Lo}
		return Returned{}, nil
	}
	return Returned{}, fmt.Errorf("reached %v", t.Kind)
}

func (fr *frame) leave(pc, rsp, rax, rdx uint64) {
	r := &fr.m.Regs
	r[abi.PC], r[abi.RSP], r[abi.RAX], r[abi.RDX] = Word{Lo: pc}, Word{Lo: rsp}, Word{Lo: rax}, Word{Lo: rdx}
}

func (fr *frame) u32(v *Value) uint32 { return uint32(fr.vals[v.ID].Lo) }

func (fr *frame) words(vs []*Value) []Word {
	ws := make([]Word, len(vs))
	for i, v := range vs {
		ws[i] = fr.vals[v.ID]
	}
	return ws
}

// step executes v. left says that the function has been left abnormally.
func (fr *frame) step(v *Value) (left bool, err error) {
	args := fr.words(v.Args)
	out := &fr.vals[v.ID]
	switch v.Op {
	case Const32:
		out.Lo = uint64(uint32(v.Aux))
	case Const64, ConstF32, ConstF64:
		out.Lo = uint64(v.Aux)
	case ConstV128:
		*out = Word{uint64(v.Aux), uint64(v.Aux2)}
	case SP, EntrySP:
		out.Lo = uint64(fr.sp)
	case Arg:
		out.Lo = fr.args[v.Aux]
	case Lin:
		out.Lo = uint64(fr.m.Lin)
	case GetReg:
		*out = fr.m.Regs[v.Aux]
	case Opaque:
		*out = args[0]
	case SetReg:
		fr.m.Regs[v.Aux] = args[0]
	case Call:
		return fr.call(v, args)
	case Result:
		if out.Lo = args[0].Lo; v.Aux == 1 {
			out.Lo = args[0].Hi
		}
	case Helper2:
		out.Lo = args[0].Hi
	case Syscall:
		out.Lo, err = fr.m.Syscall(fr.m, args)
	case Helper:
		out.Lo, out.Hi, err = fr.m.Helper(fr.m, abi.HelperOp(v.Aux), args)
	case X87:
		out.Lo, err = fr.m.X87(fr.m, v.Aux, args[0].Lo)
	case Place:
	case Trap:
		err = &TrapError{abi.TrapKind(v.Aux), uint32(v.Aux2)}
	case Select:
		if *out = args[0]; uint32(args[2].Lo) == 0 {
			*out = args[1]
		}
	default:
		*out, err = fr.m.eval(v, args)
	}
	return false, err
}

// call does the return check. The callee's rax and rdx stay in the two
// halves of the call's own value, for Result.
func (fr *frame) call(v *Value, args []Word) (left bool, err error) {
	r, err := fr.m.Call(fr.m, v.Info, args)
	if err != nil {
		return false, err
	}
	if r.RA != fr.m.Lin+v.Info.Return {
		if r.RA != 0 {
			fr.leave(uint64(r.RA), uint64(r.SP)+8, r.RAX, r.RDX)
		}
		return true, nil
	}
	fr.vals[v.ID] = Word{r.RAX, r.RDX}
	return false, nil
}

// eval computes operations that depend on their operands and memory only.
func (m *Interp) eval(v *Value, args []Word) (Word, error) {
	switch op := v.Op; {
	case op >= Load32 && op <= AtomicCmpxchg:
		return m.access(v, args)
	case op == Copy32 || op == Fill32:
		return Word{}, m.bulk(v, args)
	case op == Fence:
		return Word{}, nil
	case op == MulHU:
		hi, _ := bits.Mul64(args[0].Lo, args[1].Lo)
		return Word{Lo: hi}, nil
	case op == MulHS:
		return Word{Lo: mulHS(int64(args[0].Lo), int64(args[1].Lo))}, nil
	case op >= I32Add && op <= I64ExtendI32U:
		x, err := evalInt(v, args)
		return Word{Lo: x}, err
	case op > firstNamed:
		if fn := interpreted[op.String()]; fn != nil {
			return fn(v, args)
		}
	}
	return Word{}, fmt.Errorf("%v is not interpreted", v.Op)
}

func mulHS(x, y int64) uint64 {
	hi, _ := bits.Mul64(uint64(x), uint64(y))
	if x < 0 {
		hi -= uint64(y)
	}
	if y < 0 {
		hi -= uint64(x)
	}
	return hi
}
