package syscalls

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/seccomp"
)

// Flags of SECCOMP_SET_MODE_FILTER, uapi/linux/seccomp.h.
const (
	seccompTsync        = 1
	seccompLog          = 2
	seccompSpecAllow    = 4
	seccompListener     = 8
	seccompTsyncESRCH   = 16
	seccompWaitKillable = 32
	seccompFlags        = seccompTsync | seccompLog | seccompSpecAllow | seccompListener | seccompTsyncESRCH | seccompWaitKillable
)

// seccompOps are the operations of seccomp(2), by number.
var seccompOps = []func(t *kernel.Task, flags uint32, arg uint64) (uint64, error){
	0: func(t *kernel.Task, flags uint32, arg uint64) (uint64, error) { // SET_MODE_STRICT
		if flags != 0 || arg != 0 {
			return 0, unix.EINVAL
		}
		_, err := t.SetSeccomp(false, (*seccomp.State).Strict)
		return 0, err
	},
	1: addFilter,
	2: func(t *kernel.Task, flags uint32, arg uint64) (uint64, error) { // GET_ACTION_AVAIL
		if flags != 0 {
			return 0, unix.EINVAL
		}
		action, err := mem(t).Load32(arg)
		if err == nil && !seccomp.Actions[action] {
			err = unix.EOPNOTSUPP
		}
		return 0, err
	},
	3: notifSizes,
}

func sysSeccomp(t *kernel.Task, a Args) (uint64, error) {
	if op := a.Uint(0); op < uint32(len(seccompOps)) {
		return seccompOps[op](t, a.Uint(1), a[2])
	}
	return 0, unix.EINVAL
}

// prctlSeccomp is PR_SET_SECCOMP.
func prctlSeccomp(t *kernel.Task, a Args) (uint64, error) {
	switch a[1] {
	case seccomp.ModeStrict:
		return seccompOps[0](t, 0, 0)
	case seccomp.ModeFilter:
		return addFilter(t, 0, a[2])
	}
	return 0, unix.EINVAL
}

// addFilter is SECCOMP_SET_MODE_FILTER with a struct sock_fprog at addr.
func addFilter(t *kernel.Task, flags uint32, addr uint64) (uint64, error) {
	const fdOrTID = seccompListener | seccompTsync // of which there can be one result only
	switch {
	case flags&^seccompFlags != 0,
		flags&fdOrTID == fdOrTID && flags&seccompTsyncESRCH == 0,
		flags&seccompWaitKillable != 0 && flags&seccompListener == 0:
		return 0, unix.EINVAL
	}
	p, err := programArg(t, addr)
	if err != nil {
		return 0, err
	}
	if flags&seccompListener != 0 {
		return addListener(t, flags, p)
	}
	return setFilter(t, flags, p, nil)
}

// setFilter adds a filter. The result is the id of a thread that can't have it
// too.
func setFilter(t *kernel.Task, flags uint32, p seccomp.Program, l seccomp.Listener) (uint64, error) {
	other, err := t.SetSeccomp(flags&seccompTsync != 0, func(s *seccomp.State) (*seccomp.State, error) { return s.Add(p, l) })
	if other != 0 && flags&seccompTsyncESRCH != 0 {
		return 0, unix.ESRCH
	}
	return count(other, err)
}

func programArg(t *kernel.Task, addr uint64) (seccomp.Program, error) {
	var head [16]byte
	if err := mem(t).CopyIn(addr, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.LittleEndian.Uint16(head[:]))
	if n == 0 || n > seccomp.MaxInsns {
		return nil, unix.EINVAL
	}
	if c := t.Creds(); !c.NoNewPrivs && !c.Has(unix.CAP_SYS_ADMIN) {
		return nil, unix.EACCES
	}
	raw := make([]byte, n*seccomp.InsnSize)
	if err := mem(t).CopyIn(binary.LittleEndian.Uint64(head[8:]), raw); err != nil {
		return nil, err
	}
	return seccomp.Parse(raw)
}

// restricted says what a call gives that s does not let through. A tracer may
// make another call of it.
func restricted(t *kernel.Task, s *seccomp.State, nr *uint64, args *[6]uint64) (ret uint64, stopped bool, err error) {
	if s.Mode() == seccomp.ModeStrict {
		if seccomp.StrictAllows(uint32(*nr)) {
			return 0, false, nil
		}
		t.ExitGroup(kernel.SignalStatus(unix.SIGKILL))
		return 0, true, nil
	}
	call := seccomp.Call{Nr: uint32(*nr), PC: t.PC(), Args: *args}
	v, l := s.Judge(call)
	switch v.Action() {
	case seccomp.Allow, seccomp.Log:
		return 0, false, nil
	case seccomp.Errno:
		ret, err = filtered(min(v.Data(), maxErrno))
		return ret, true, err
	case seccomp.Trap:
		t.Force(kernel.SigInfo{
			Signo: unix.SIGSYS, Code: kernel.SysFilter, Errno: int32(v.Data()), Addr: t.PC(),
			Call: kernel.Call{Nr: uint32(*nr), Arch: seccomp.Arch},
		})
		return *nr, true, nil // rax as it was
	case seccomp.UserNotif:
		return asked(t, l, call)
	case seccomp.Trace:
		return askTracer(t, s, nr, args, uint16(v.Data()))
	case seccomp.KillThread:
		t.EndThread(unix.SIGSYS)
	default:
		t.ExitGroup(kernel.SignalStatus(unix.SIGSYS))
	}
	return 0, true, nil
}

// askTracer lets a tracer decide on a call: none at all, if it makes the number
// negative, or one that the filters judge again.
func askTracer(t *kernel.Task, s *seccomp.State, nr *uint64, args *[6]uint64, data uint16) (ret uint64, stopped bool, err error) {
	var asked bool
	*nr, *args, asked = t.AskTracer(*nr, *args, data)
	switch {
	case !asked:
		return 0, true, unix.ENOSYS
	case int32(*nr) < 0:
		return t.CPU.Reg(abi.RAX), true, nil
	}
	if v, _ := s.Judge(seccomp.Call{Nr: uint32(*nr), PC: t.PC(), Args: *args}); v.Action() == seccomp.Trace {
		return 0, false, nil // it was asked
	}
	return restricted(t, s, nr, args)
}

// maxErrno is MAX_ERRNO, firstOwn the first error that the kernel keeps to
// itself (ERESTARTSYS).
const (
	maxErrno = 4095
	firstOwn = 512
)

// filtered is what a call gives that fails with an error of a filter's choice. The
// kernel's own errors are not its: the call must not be made again.
func filtered(e uint32) (uint64, error) {
	switch {
	case e == 0:
		return 0, nil
	case e >= firstOwn:
		return uint64(-int64(e)), nil
	}
	return 0, unix.Errno(e)
}
