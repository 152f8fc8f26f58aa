package kernel

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/vkernel/mm"
)

// struct rt_sigframe of arch/x86/include/asm/sigframe.h: the return address,
// struct ucontext, siginfo. Offsets in bytes.
const (
	frameUC      = 8
	ucStack      = frameUC + 16
	ucContext    = frameUC + 40
	ucMask       = frameUC + 296
	frameInfo    = frameUC + 304
	frameSize    = frameInfo + SigInfoSize
	redZone      = 128
	fxSize       = 512 // of FXSAVE64's image
	contextIP    = 16  // index of rip among the context's quadwords
	contextFlags = 17
	contextSegs  = 18
	contextCR2   = 22
	contextFPU   = 23
	ucFlags      = 6               // UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS
	userSegments = 0x33 | 0x2b<<48 // cs and ss
	fixedFlags   = 0x202           // IF and what is always set
)

// contextRegs is the order of struct sigcontext.
var contextRegs = [...]abi.Reg{
	abi.R8, abi.R9, abi.R10, abi.R11, abi.R12, abi.R13, abi.R14, abi.R15,
	abi.RDI, abi.RSI, abi.RBP, abi.RBX, abi.RDX, abi.RAX, abi.RCX, abi.RSP,
}

// pushFrame writes the frame of a signal that interrupts pc, and points the
// registers at the handler.
func (t *Task) pushFrame(a Action, info SigInfo, pc, faultAddr uint64) (frame uint64, err error) {
	if a.Flags&SaRestorer == 0 {
		return 0, unix.EFAULT
	}
	sp := t.CPU.Reg(abi.RSP)
	stack := t.AltStack(sp)
	top := sp - redZone
	switch onOther := a.Flags&SaOnStack != 0 && stack.Flags&(SsDisable|SsOnStack) == 0; {
	case onOther:
		top = stack.Addr + stack.Size
	case info.imprecise():
		top = t.unused(sp)
	}
	fx := (top - fxSize) &^ 63
	frame = (fx-frameSize)&^15 - 8
	var state [fxSize]byte
	t.CPU.SaveFX(state[:])
	if err := t.MM.AS.CopyOut(fx, state[:]); err != nil {
		return 0, err
	}
	b := t.frameBytes(a, stack, pc, faultAddr, fx)
	if err := t.MM.AS.CopyOut(frame, info.Append(b)); err != nil {
		return 0, err
	}
	if stack.Flags&SsAutodisarm != 0 {
		t.altStack = AltStack{}
	}
	c := t.CPU
	c.SetReg(abi.RDI, uint64(info.Signo))
	c.SetReg(abi.RSI, frame+frameInfo)
	c.SetReg(abi.RDX, frame+frameUC)
	c.SetReg(abi.RAX, 0)
	c.SetReg(abi.RSP, frame)
	c.SetReg(abi.PC, a.Handler)
	c.ResetFX()
	return frame, nil
}

// imprecise tells whether a signal is a fault's in the middle of a function, whose rsp
// is not known.
func (s *SigInfo) imprecise() bool {
	return s.isFault() && (s.Signo == unix.SIGSEGV || s.Signo == unix.SIGBUS)
}

// unknownStack is how much of a stack whose unused part is not known functions may
// have taken since rsp was known, bytes: more is seldom.
const unknownStack = 64 << 10

// unused is the end of memory that nothing is in, on the stack that sp was on when it was
// known.
func (t *Task) unused(sp uint64) uint64 {
	const room = frameSize + fxSize + mm.PageSize
	start, low, _ := t.untouched(sp)
	switch {
	case low-start > room:
		return low
	case sp-start > unknownStack+room && start != 0:
		return sp - unknownStack
	}
	return sp - redZone
}

// untouched is the part of the stack that sp is on that was never accessed: a
// function's frame is above it, for at its lower end is a return address. Both are 0 if sp is
// on no stack. full says that all pages down to the stack's end were.
func (t *Task) untouched(sp uint64) (start, end uint64, full bool) {
	start, _, ok := t.MM.Stack(sp)
	if !ok {
		return 0, 0, false
	}
	end, full = t.MM.AS.Touched(start, mm.PageDown(sp))
	return start, end, full
}

// frameBytes is the frame up to siginfo.
func (t *Task) frameBytes(a Action, stack AltStack, pc, faultAddr, fx uint64) []byte {
	le := binary.LittleEndian
	b := le.AppendUint64(nil, a.Restorer)
	b = le.AppendUint64(b, ucFlags)
	b = le.AppendUint64(b, 0)
	b = le.AppendUint64(b, stack.Addr)
	b = le.AppendUint64(b, uint64(stack.Flags))
	b = le.AppendUint64(b, stack.Size)
	for _, r := range contextRegs {
		b = le.AppendUint64(b, t.CPU.Reg(r))
	}
	for _, v := range [...]uint64{pc, t.flags(), userSegments, 0, 0, 0, faultAddr, fx} {
		b = le.AppendUint64(b, v)
	}
	b = append(b, make([]byte, ucMask-len(b))...)
	return le.AppendUint64(b, uint64(t.frameMask()))
}

// flags are rflags. Flags that are not live may be others than the processor's.
func (t *Task) flags() uint64 {
	x := uint64(fixedFlags)
	for i, bit := range abi.FlagBits {
		x |= t.CPU.Reg(abi.CF+abi.Reg(i)) << bit
	}
	return x
}

func (t *Task) setFlags(x uint64) {
	for i, bit := range abi.FlagBits {
		t.CPU.SetReg(abi.CF+abi.Reg(i), x>>bit&1)
	}
}

// frameMask is the mask to go back to after the handler.
func (t *Task) frameMask() SigSet {
	if old := t.saved; old != nil {
		t.saved = nil
		t.setAwaited(0)
		return *old
	}
	return t.Mask()
}

// SigReturn is rt_sigreturn: it takes everything back from the frame above
// the stack pointer. A bad frame is SIGSEGV.
func (t *Task) SigReturn() {
	var b [frameSize]byte
	frame := t.CPU.Reg(abi.RSP) - 8 // the handler's ret took the return address
	var fx [fxSize]byte
	le := binary.LittleEndian
	err := t.MM.AS.CopyIn(frame, b[:])
	word := func(off int) uint64 { return le.Uint64(b[off:]) }
	if at := word(ucContext + 8*contextFPU); err == nil && at != 0 {
		if err = t.MM.AS.CopyIn(at, fx[:]); err == nil {
			t.CPU.RestoreFX(fx[:])
		}
	}
	if err != nil {
		t.ExitGroup(SignalStatus(unix.SIGSEGV))
		return
	}
	for i, r := range contextRegs {
		t.CPU.SetReg(r, word(ucContext+8*i))
	}
	t.CPU.SetReg(abi.PC, word(ucContext+8*contextIP))
	t.setFlags(word(ucContext + 8*contextFlags))
	t.SetMask(SigSet(word(ucMask)))
	t.altStack = AltStack{word(ucStack), uint32(word(ucStack+8)) & SsAutodisarm, word(ucStack + 16)}
	t.flow, t.left = flowReturn, frame
}
