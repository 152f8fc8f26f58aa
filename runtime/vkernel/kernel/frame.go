package kernel

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/abi"
)

// struct rt_sigframe of arch/x86/include/asm/sigframe.h: the return address,
// struct ucontext, siginfo. Offsets in bytes.
const (
	frameUC       = 8
	ucStack       = frameUC + 16
	ucContext     = frameUC + 40
	ucMask        = frameUC + 296
	frameInfo     = frameUC + 304
	frameSize     = frameInfo + SigInfoSize
	redZone       = 128
	fxSize        = 512
	contextIP     = 16 // index of rip among the context's quadwords
	contextFlags  = 17
	contextSegs   = 18
	contextCR2    = 22
	contextFPU    = 23
	ucFlags       = 6               // UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS
	userSegments  = 0x33 | 0x2b<<48 // cs and ss
	initialFlags  = 0x246
	fxControl     = 0x37f
	fxMXCSROffset = 24
	fxXMMOffset   = 160
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
	top := t.unused(sp, info) - redZone
	if a.Flags&SaOnStack != 0 && stack.Flags&(SsDisable|SsOnStack) == 0 {
		top = stack.Addr + stack.Size
	}
	fx := (top - fxSize) &^ 63
	frame = (fx-frameSize)&^15 - 8
	if err := t.MM.AS.CopyOut(fx, t.fxSave()); err != nil {
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
	c.SetReg(abi.DF, 0)
	return frame, nil
}

// unknownStack is how much of the stack functions may have taken since rsp was
// known, bytes: more is seldom.
const unknownStack = 64 << 10

// unused is where the stack below sp is not in use. An access past a file's end
// is within a function, whose rsp is not known.
func (t *Task) unused(sp uint64, info SigInfo) uint64 {
	if info.Signo != unix.SIGBUS || !info.isFault() {
		return sp
	}
	if start, _, ok := t.MM.Stack(sp); ok && sp-start > unknownStack+frameSize+fxSize {
		return sp - unknownStack
	}
	return sp
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
	for _, v := range [...]uint64{pc, initialFlags, userSegments, 0, 0, 0, faultAddr, fx} {
		b = le.AppendUint64(b, v)
	}
	b = append(b, make([]byte, ucMask-len(b))...)
	return le.AppendUint64(b, uint64(t.frameMask()))
}

// frameMask is the mask to go back to after the handler.
func (t *Task) frameMask() SigSet {
	if old := t.saved; old != nil {
		t.saved = nil
		return *old
	}
	return t.Mask()
}

// fxSave is the fxsave image with the xmm registers. x87 state is the
// machine's and is not in it.
func (t *Task) fxSave() []byte {
	b := make([]byte, fxSize)
	le := binary.LittleEndian
	le.PutUint16(b, fxControl)
	le.PutUint32(b[fxMXCSROffset:], uint32(t.CPU.Reg(abi.MXCSR)))
	le.PutUint32(b[fxMXCSROffset+4:], 0xffff)
	for i := range 16 {
		v := t.CPU.XMM(i)
		le.PutUint64(b[fxXMMOffset+16*i:], v[0])
		le.PutUint64(b[fxXMMOffset+16*i+8:], v[1])
	}
	return b
}

func (t *Task) fxRestore(b []byte) {
	le := binary.LittleEndian
	t.CPU.SetReg(abi.MXCSR, uint64(le.Uint32(b[fxMXCSROffset:])))
	for i := range 16 {
		t.CPU.SetXMM(i, [2]uint64{le.Uint64(b[fxXMMOffset+16*i:]), le.Uint64(b[fxXMMOffset+16*i+8:])})
	}
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
			t.fxRestore(fx[:])
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
	t.SetMask(SigSet(word(ucMask)))
	t.altStack = AltStack{word(ucStack), uint32(word(ucStack+8)) & SsAutodisarm, word(ucStack + 16)}
	t.flow, t.left = flowReturn, frame
}
