package syscalls

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// Requests that package unix does not name, uapi/linux/ptrace.h.
const (
	ptraceGetSyscallInfo = 0x420e
	ptraceSysemu         = 31
)

// ptraceRequest does a request for a task. addr and data are as the guest gave
// them.
type ptraceRequest func(t *kernel.Task, tid int, addr, data uint64) (uint64, error)

// ptraceRequests are the requests of ptrace(2). What steps by instruction is
// not there: there are none left when a program runs.
var ptraceRequests = map[int]ptraceRequest{
	unix.PTRACE_TRACEME:   func(t *kernel.Task, _ int, _, _ uint64) (uint64, error) { return ok(t.TraceMe()) },
	unix.PTRACE_ATTACH:    func(t *kernel.Task, tid int, _, _ uint64) (uint64, error) { return ok(t.Attach(tid, false, 0)) },
	unix.PTRACE_SEIZE:     ptraceSeize,
	unix.PTRACE_KILL:      func(t *kernel.Task, tid int, _, _ uint64) (uint64, error) { return ok(t.KillTracee(tid)) },
	unix.PTRACE_INTERRUPT: func(t *kernel.Task, tid int, _, _ uint64) (uint64, error) { return ok(t.Interrupt(tid)) },

	unix.PTRACE_CONT:    resume(kernel.TraceCont),
	unix.PTRACE_SYSCALL: resume(kernel.TraceSyscall),
	ptraceSysemu:        resume(kernel.TraceSysemu),
	unix.PTRACE_DETACH:  ptraceDetach,
	unix.PTRACE_LISTEN:  whileStopped(func(s kernel.Stopped, _, _ uint64) error { return s.Listen() }),

	unix.PTRACE_PEEKTEXT: ptracePeek, unix.PTRACE_PEEKDATA: ptracePeek,
	unix.PTRACE_POKETEXT: ptracePoke, unix.PTRACE_POKEDATA: ptracePoke,
	unix.PTRACE_PEEKUSR: ptracePeekUser, unix.PTRACE_POKEUSR: ptracePokeUser,
	unix.PTRACE_GETREGS: ptraceGet(getRegs), unix.PTRACE_SETREGS: ptraceSet(kernel.UserRegsSize, setRegs),
	unix.PTRACE_GETFPREGS: ptraceGet(getFPRegs), unix.PTRACE_SETFPREGS: ptraceSet(kernel.FPRegsSize, setFPRegs),
	unix.PTRACE_GETREGSET: ptraceGetRegset, unix.PTRACE_SETREGSET: ptraceSetRegset,
	unix.PTRACE_ARCH_PRCTL: ptraceArchPrctl,

	unix.PTRACE_SETOPTIONS:  whileStopped(func(s kernel.Stopped, _, data uint64) error { return s.SetOptions(data) }),
	unix.PTRACE_GETEVENTMSG: ptraceMessage,
	unix.PTRACE_GETSIGINFO:  ptraceGetSiginfo, unix.PTRACE_SETSIGINFO: ptraceSetSiginfo,
	unix.PTRACE_PEEKSIGINFO: ptracePeekSiginfo,
	unix.PTRACE_GETSIGMASK:  ptraceGetSigmask, unix.PTRACE_SETSIGMASK: ptraceSetSigmask,
	ptraceGetSyscallInfo: ptraceSyscallInfo,
}

func sysPtrace(t *kernel.Task, a Args) (uint64, error) {
	if do := ptraceRequests[int(a[0])]; do != nil {
		return do(t, a.Int(1), a[2], a[3])
	}
	// What is no request fails like one that is not supported: first comes the
	// question whether the task is there.
	return 0, t.WithStopped(a.Int(1), func(kernel.Stopped) error { return unix.EIO })
}

// whileStopped is a request that needs no guest memory.
func whileStopped(do func(s kernel.Stopped, addr, data uint64) error) ptraceRequest {
	return func(t *kernel.Task, tid int, addr, data uint64) (uint64, error) {
		return ok(t.WithStopped(tid, func(s kernel.Stopped) error { return do(s, addr, data) }))
	}
}

// resume makes a task go on with the signal in data.
func resume(mode kernel.ResumeMode) ptraceRequest {
	return whileStopped(func(s kernel.Stopped, _, data uint64) error {
		if data > kernel.MaxSignal {
			return unix.EIO
		}
		s.Resume(mode, unix.Signal(data))
		return nil
	})
}

var ptraceDetach = whileStopped(func(s kernel.Stopped, _, data uint64) error {
	if data > kernel.MaxSignal {
		return unix.EIO
	}
	s.Detach(unix.Signal(data))
	return nil
})

func ptraceSeize(t *kernel.Task, tid int, addr, data uint64) (uint64, error) {
	if addr != 0 || data != uint64(uint32(data)) {
		return 0, unix.EIO
	}
	return ok(t.Attach(tid, true, uint32(data)))
}

// peerMemory calls do with the memory of a stopped task.
func peerMemory(t *kernel.Task, tid int, do func(as *machine.AddressSpace) error) error {
	var m interface{ Release() }
	var as *machine.AddressSpace
	err := t.WithStopped(tid, func(s kernel.Stopped) error {
		if mm := s.Memory(); mm != nil {
			m, as = mm, mm.AS
		}
		return nil
	})
	if err != nil {
		return err
	}
	if m == nil {
		return unix.EIO
	}
	defer m.Release()
	if do(as) != nil {
		return unix.EIO
	}
	return nil
}

func ptracePeek(t *kernel.Task, tid int, addr, data uint64) (uint64, error) {
	var word [8]byte
	err := peerMemory(t, tid, func(as *machine.AddressSpace) error { return as.CopyIn(addr, word[:]) })
	return copyOut(t, data, word[:], err)
}

func ptracePoke(t *kernel.Task, tid int, addr, data uint64) (uint64, error) {
	word := binary.LittleEndian.AppendUint64(nil, data)
	return ok(peerMemory(t, tid, func(as *machine.AddressSpace) error { return as.CopyOut(addr, word) }))
}

// struct user of sys/user.h: the registers come first. Bytes.
const (
	userSize      = 912
	userDebugRegs = 848
)

func ptracePeekUser(t *kernel.Task, tid int, addr, data uint64) (uint64, error) {
	var word uint64
	err := t.WithStopped(tid, func(s kernel.Stopped) error {
		if addr%8 != 0 || addr >= userSize {
			return unix.EIO
		}
		if regs := s.Registers(); addr < kernel.UserRegsSize {
			word = regs[addr/8]
		}
		return nil
	})
	return copyOut(t, data, binary.LittleEndian.AppendUint64(nil, word), err)
}

// ptracePokeUser changes a general register. There are no debug registers:
// they can be cleared only.
var ptracePokeUser = whileStopped(func(s kernel.Stopped, addr, data uint64) error {
	switch {
	case addr%8 != 0 || addr >= userSize:
		return unix.EIO
	case addr < kernel.UserRegsSize:
		regs := s.Registers()
		regs[addr/8] = data
		return s.SetRegisters(regs)
	case addr >= userDebugRegs && data == 0:
		return nil
	}
	return unix.EIO
})

// ptraceGet writes what get gives of a stopped task to data.
func ptraceGet(get func(s kernel.Stopped) []byte) ptraceRequest {
	return func(t *kernel.Task, tid int, _, data uint64) (uint64, error) {
		var b []byte
		err := t.WithStopped(tid, func(s kernel.Stopped) error {
			b = get(s)
			return nil
		})
		return copyOut(t, data, b, err)
	}
}

// ptraceSet changes a stopped task by size bytes at data.
func ptraceSet(size int, set func(s kernel.Stopped, b []byte) error) ptraceRequest {
	return func(t *kernel.Task, tid int, _, data uint64) (uint64, error) {
		b := make([]byte, size)
		fault := mem(t).CopyIn(data, b)
		return ok(t.WithStopped(tid, func(s kernel.Stopped) error {
			if fault != nil {
				return fault
			}
			return set(s, b)
		}))
	}
}

func getRegs(s kernel.Stopped) []byte {
	regs := s.Registers()
	return regs.Bytes()
}

// setRegs changes as many registers as b has.
func setRegs(s kernel.Stopped, b []byte) error {
	regs := s.Registers()
	regs.Set(b)
	return s.SetRegisters(regs)
}

func getFPRegs(s kernel.Stopped) []byte { return s.FPRegisters() }

func setFPRegs(s kernel.Stopped, b []byte) error {
	image := s.FPRegisters()
	copy(image, b)
	s.SetFPRegisters([kernel.FPRegsSize]byte(image))
	return nil
}

// regset is a set of registers, by its NT_* type of elf.h.
type regset struct {
	size int // bytes
	get  func(s kernel.Stopped) []byte
	set  func(s kernel.Stopped, b []byte) error
}

var regsets = map[uint64]regset{
	1: {kernel.UserRegsSize, getRegs, setRegs},   // NT_PRSTATUS
	2: {kernel.FPRegsSize, getFPRegs, setFPRegs}, // NT_PRFPREG
}

// regsetArg reads the struct iovec of a request about a set of registers.
func regsetArg(t *kernel.Task, kind, iov uint64) (set regset, base, size uint64, err error) {
	set, found := regsets[kind]
	if base, err = mem(t).Load64(iov); err != nil {
		return set, 0, 0, err
	}
	if size, err = mem(t).Load64(iov + 8); err != nil {
		return set, 0, 0, err
	}
	if !found || size%8 != 0 {
		return set, 0, 0, unix.EINVAL
	}
	return set, base, min(size, uint64(set.size)), nil
}

func ptraceGetRegset(t *kernel.Task, tid int, kind, iov uint64) (uint64, error) {
	set, base, size, bad := regsetArg(t, kind, iov)
	var b []byte
	err := t.WithStopped(tid, func(s kernel.Stopped) error {
		if bad == nil {
			b = set.get(s)[:size]
		}
		return bad
	})
	if err == nil {
		err = mem(t).Store64(iov+8, size)
	}
	return copyOut(t, base, b, err)
}

func ptraceSetRegset(t *kernel.Task, tid int, kind, iov uint64) (uint64, error) {
	set, base, size, bad := regsetArg(t, kind, iov)
	b := make([]byte, size)
	if bad == nil {
		bad = mem(t).CopyIn(base, b)
	}
	err := t.WithStopped(tid, func(s kernel.Stopped) error {
		if bad != nil {
			return bad
		}
		return set.set(s, b)
	})
	if err == nil {
		err = mem(t).Store64(iov+8, size)
	}
	return ok(err)
}

// Indexes of a kernel.UserRegs.
const (
	regFSBase = 21
	regGSBase = 22
)

// ptraceArchPrctl is arch_prctl(2) on a stopped task: data is the code, addr
// its argument.
func ptraceArchPrctl(t *kernel.Task, tid int, addr, data uint64) (uint64, error) {
	base, write := regFSBase, data == archSetFS || data == archSetGS
	if data == archSetGS || data == archGetGS {
		base = regGSBase
	}
	var value uint64
	err := t.WithStopped(tid, func(s kernel.Stopped) error {
		if data < archSetGS || data > archGetGS {
			return unix.EINVAL
		}
		regs := s.Registers()
		if value = regs[base]; !write {
			return nil
		}
		regs[base] = addr
		if s.SetRegisters(regs) != nil {
			return unix.EPERM
		}
		return nil
	})
	if err != nil || write {
		return 0, err
	}
	return ok(mem(t).Store64(addr, value))
}

func ptraceMessage(t *kernel.Task, tid int, _, data uint64) (uint64, error) {
	var message uint64
	err := t.WithStopped(tid, func(s kernel.Stopped) error {
		message = s.Message()
		return nil
	})
	return copyOut(t, data, binary.LittleEndian.AppendUint64(nil, message), err)
}

func ptraceGetSiginfo(t *kernel.Task, tid int, _, data uint64) (uint64, error) {
	var b []byte
	err := t.WithStopped(tid, func(s kernel.Stopped) error {
		info, err := s.Info()
		b = info.Append(nil)
		return err
	})
	return copyOut(t, data, b, err)
}

func ptraceSetSiginfo(t *kernel.Task, tid int, _, data uint64) (uint64, error) {
	info, fault := siginfoArg(t, data)
	if info.Code > 0 && info.Code != kernel.SiKernel && info.Signo != unix.SIGCHLD {
		info.Addr = uint64(uint32(info.PID)) | uint64(info.UID)<<32 // they lie in the same place
	}
	info.Status = int32(info.Value)
	return ok(t.WithStopped(tid, func(s kernel.Stopped) error {
		if fault != nil {
			return fault
		}
		return s.SetInfo(info)
	}))
}

// ptracePeekSiginfo copies pending signals: addr is a struct
// ptrace_peeksiginfo_args.
func ptracePeekSiginfo(t *kernel.Task, tid int, addr, data uint64) (uint64, error) {
	const shared, argsSize = 1, 16
	var args [argsSize]byte
	if err := mem(t).CopyIn(addr, args[:]); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	off, flags, n := le.Uint64(args[:]), le.Uint32(args[8:]), int(int32(le.Uint32(args[12:])))
	if flags&^shared != 0 || n < 0 {
		return 0, unix.EINVAL
	}
	var list []kernel.SigInfo
	err := t.WithStopped(tid, func(s kernel.Stopped) error {
		list = s.Pending(flags&shared != 0)
		return nil
	})
	if err != nil || off >= uint64(len(list)) {
		return 0, err
	}
	list = list[off:]
	list = list[:min(n, len(list))]
	for i := range list {
		if err := mem(t).CopyOut(data+uint64(i)*kernel.SigInfoSize, list[i].Append(nil)); err != nil {
			return uint64(i), keep(uint64(i), err)
		}
	}
	return uint64(len(list)), nil
}

func ptraceGetSigmask(t *kernel.Task, tid int, addr, data uint64) (uint64, error) {
	var mask kernel.SigSet
	err := t.WithStopped(tid, func(s kernel.Stopped) error {
		if addr != sigsetSize {
			return unix.EINVAL
		}
		mask = s.Mask()
		return nil
	})
	return copyOut(t, data, binary.LittleEndian.AppendUint64(nil, uint64(mask)), err)
}

func ptraceSetSigmask(t *kernel.Task, tid int, addr, data uint64) (uint64, error) {
	mask, fault := mem(t).Load64(data)
	return ok(t.WithStopped(tid, func(s kernel.Stopped) error {
		switch {
		case addr != sigsetSize:
			return unix.EINVAL
		case fault != nil:
			return fault
		}
		s.SetMask(kernel.SigSet(mask))
		return nil
	}))
}

// ptraceSyscallInfo is PTRACE_GET_SYSCALL_INFO: addr is the size of the buffer
// at data, the result how much there is.
func ptraceSyscallInfo(t *kernel.Task, tid int, addr, data uint64) (uint64, error) {
	var b []byte
	err := t.WithStopped(tid, func(s kernel.Stopped) error {
		b = s.SyscallInfo()
		return nil
	})
	if err != nil {
		return 0, err
	}
	return uint64(len(b)), mem(t).CopyOut(data, b[:min(uint64(len(b)), addr)])
}
