package difftest

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/elf"
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/lift"
	"github.com/megabin/megabin/converter/opt"
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/machine/x87"
)

// interpreted runs the snippets of one program as IR: what only differs
// recompiled is the emitter's or the engine's doing.
type interpreted struct {
	funcs   map[uint32]*ir.Func // by entry, unit offset
	entries []uint64
	vmin    uint64
	mem     []byte // linear memory
}

// interpretedMemory reaches beyond the snippets' world.
const interpretedMemory = StackBase + 0x10000

var (
	errDone   = errors.New("the snippet has ended")
	errHelper = errors.New("an operation of the machine")
)

func startInterpreted(t *testing.T, image []byte, entries []uint64) *interpreted {
	t.Helper()
	f, err := elf.Parse("snippets", image)
	if err != nil {
		t.Fatal(err)
	}
	prog, err := disasm.Analyze(f)
	if err != nil {
		t.Fatal(err)
	}
	n := &interpreted{funcs: map[uint32]*ir.Func{}, entries: entries, vmin: f.VMin, mem: make([]byte, interpretedMemory)}
	for fn := range lift.Program(prog).Funcs() {
		opt.Run(fn)
		n.funcs[fn.Entry] = fn
	}
	return n
}

// run runs snippet i from s; ok is false if it needs the machine.
func (n *interpreted) run(t *testing.T, i int, s State) (out State, ok bool) {
	t.Helper()
	data, stack := n.mem[DataBase:][:0x1000], n.mem[StackBase:][:0x1000]
	copy(data, s.Data[:])
	copy(stack, s.Stack[:])
	unit := x87.NewState()
	unit.SetFXSave(s.FX[:])
	m := &ir.Interp{
		Mem: n.mem, Lin: uint32(n.vmin), Steps: 1 << 20,
		Call: n.call,
		Syscall: func(*ir.Interp, []ir.Word) (uint64, error) {
			return 0, errDone
		},
		Helper: func(_ *ir.Interp, op abi.HelperOp, _ []ir.Word) (uint64, uint64, error) {
			if op == abi.HelperLDMXCSR || op == abi.HelperRest {
				return 0, 0, nil
			}
			return 0, 0, errHelper
		},
		X87: func(_ *ir.Interp, op int64, x uint64) (uint64, error) {
			r, err := unit.Do(n.mem, abi.X87Op(op), int64(x))
			return uint64(r), err
		},
	}
	for r, v := range s.GPR {
		m.Regs[r].Lo = v
	}
	for r := range 16 {
		x := s.XMM(r)
		m.Regs[abi.XMM0+abi.Reg(r)] = ir.Word{Lo: binary.LittleEndian.Uint64(x), Hi: binary.LittleEndian.Uint64(x[8:])}
	}
	m.Regs[abi.MXCSR].Lo = uint64(s.MXCSR())
	m.Regs[abi.PC].Lo = n.entries[i]
	err := n.dispatch(m)
	var trap *ir.TrapError
	switch {
	case err == errDone:
	case err == errHelper:
		return s, false
	case errors.As(err, &trap):
		s.Signal = [...]uint64{abi.TrapUD: 4, abi.TrapUntranslated: 4, abi.TrapBreakpoint: 5, abi.TrapDivide: 8, abi.TrapPrivileged: 11}[trap.Kind]
	case errors.Is(err, ir.ErrDivide):
		s.Signal = 8
	case errors.Is(err, ir.ErrBounds):
		s.Signal = 11
	default:
		t.Fatal(err)
	}
	unit.PutFXSave(s.FX[:])
	s.SetMXCSR(uint32(m.Regs[abi.MXCSR].Lo))
	s.collect(data, stack)
	return s, true
}

// dispatch enters the program at the register file's pc until it stops.
func (n *interpreted) dispatch(m *ir.Interp) error {
	for {
		r := &m.Regs
		f := n.funcs[uint32(r[abi.PC].Lo-n.vmin)]
		if f == nil {
			return errHelper
		}
		var args ir.Args
		for i, reg := range abi.ParamRegs {
			args[i] = r[reg].Lo
		}
		if _, err := m.Run(f, uint32(r[abi.RSP].Lo), args); err != nil {
			return err
		}
	}
}

// call runs a tail call's target.
func (n *interpreted) call(m *ir.Interp, info *ir.CallInfo, args []ir.Word) (ir.Returned, error) {
	f := n.funcs[info.Target]
	if f == nil || info.Kind != ir.Direct {
		return ir.Returned{}, errHelper
	}
	var regs ir.Args
	for i := range regs {
		regs[i] = args[1+i].Lo
	}
	return m.Run(f, uint32(args[0].Lo), regs)
}
