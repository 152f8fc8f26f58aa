package kernel

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/vkernel/seccomp"
)

// UserRegs is struct user_regs_struct of sys/user.h.
type UserRegs [27]uint64

// Bytes is the structure's.
func (u *UserRegs) Bytes() []byte {
	b := make([]byte, 0, UserRegsSize)
	for _, v := range u {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// Set takes the structure's bytes, or as many as there are of it.
func (u *UserRegs) Set(b []byte) {
	for i := range min(len(b)/8, len(u)) {
		u[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
}

// UserRegsSize is sizeof(struct user_regs_struct), bytes.
const UserRegsSize = 27 * 8

// Indexes of a UserRegs.
const (
	userRAX     = 10
	userOrigRAX = 15
	userRIP     = 16
	userCS      = 17
	userFlags   = 18
	userSS      = 20
	userFSBase  = 21
	userGSBase  = 22
)

// userRegs are the general registers of a UserRegs, by index.
var userRegs = map[int]abi.Reg{
	0: abi.R15, 1: abi.R14, 2: abi.R13, 3: abi.R12, 4: abi.RBP, 5: abi.RBX, 6: abi.R11, 7: abi.R10, 8: abi.R9, 9: abi.R8,
	userRAX: abi.RAX, 11: abi.RCX, 12: abi.RDX, 13: abi.RSI, 14: abi.RDI, userRIP: abi.PC, 19: abi.RSP,
}

// Registers are the task's. Segments are what they are at the start of a program.
func (s Stopped) Registers() (u UserRegs) {
	cpu := s.t.CPU
	for i, r := range userRegs {
		u[i] = cpu.Reg(r)
	}
	u[userOrigRAX], u[userFlags] = s.t.call, s.t.flags()
	u[userCS], u[userSS] = 0x33, 0x2b
	u[userFSBase], u[userGSBase] = cpu.FSBase(), cpu.GSBase()
	return u
}

// SetRegisters changes them, but not flags and segments. EIO if a segment's
// base is no guest address.
func (s Stopped) SetRegisters(u UserRegs) error {
	const limit = 1 << 32
	if u[userFSBase] >= limit || u[userGSBase] >= limit {
		return unix.EIO
	}
	was, cpu := s.Registers(), s.t.CPU
	if was == u {
		return nil
	}
	for i, r := range userRegs {
		cpu.SetReg(r, u[i])
	}
	if was[userFSBase] != u[userFSBase] {
		cpu.SetFSBase(u[userFSBase])
	}
	if was[userGSBase] != u[userGSBase] {
		cpu.SetGSBase(u[userGSBase])
	}
	s.t.call = u[userOrigRAX]
	was[userRAX] = u[userRAX] // which code that goes on where it was expects to change
	s.t.rewritten = s.t.rewritten || was != u
	return nil
}

// FPRegisters are struct user_fpregs_struct: fxsave's image.
func (s Stopped) FPRegisters() []byte {
	var b [FPRegsSize]byte
	s.t.CPU.SaveFX(b[:])
	return b[:]
}

// SetFPRegisters changes them.
func (s Stopped) SetFPRegisters(b [FPRegsSize]byte) {
	s.t.CPU.RestoreFX(b[:])
	s.t.rewritten = true
}

// FPRegsSize is sizeof(struct user_fpregs_struct), bytes.
const FPRegsSize = fxSize

// SyscallInfo is struct ptrace_syscall_info: which system call the task has
// stopped at, and where in it.
func (s Stopped) SyscallInfo() []byte {
	le, cpu, stop := binary.LittleEndian, s.t.CPU, s.tr.stop
	b := []byte{byte(stop.op), 0, 0, 0}
	b = le.AppendUint32(b, seccomp.Arch)
	b = le.AppendUint64(b, s.t.PC())
	b = le.AppendUint64(b, cpu.Reg(abi.RSP))
	switch stop.op {
	case SyscallEntry, SyscallSeccomp:
		b = le.AppendUint64(b, s.t.call)
		for _, v := range s.t.arguments() {
			b = le.AppendUint64(b, v)
		}
		if stop.op == SyscallSeccomp {
			b = le.AppendUint32(b, stop.data)
		}
	case SyscallExit:
		ret := cpu.Reg(abi.RAX)
		b = le.AppendUint64(b, ret)
		failed := byte(0)
		if int64(ret) < 0 && int64(ret) >= -maxErrno {
			failed = 1
		}
		b = append(b, failed)
	}
	return b
}

// maxErrno is MAX_ERRNO, include/linux/err.h.
const maxErrno = 4095
