package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// sigsetSize is what every call must say sizeof(sigset_t) is.
const sigsetSize = 8

// sigactionSize is sizeof(struct kernel_sigaction).
const sigactionSize = 32

func sysRtSigaction(t *kernel.Task, a Args) (uint64, error) {
	sig := unix.Signal(a.Int(0))
	if a[3] != sigsetSize || sig < 1 || sig > kernel.MaxSignal {
		return 0, unix.EINVAL
	}
	old := t.Handlers.Get(sig)
	if a[1] != 0 {
		var raw [sigactionSize]byte
		if err := mem(t).CopyIn(a[1], raw[:]); err != nil {
			return 0, err
		}
		le := binary.LittleEndian
		_, err := t.SetAction(sig, kernel.Action{
			Handler: le.Uint64(raw[:]), Flags: le.Uint64(raw[8:]) & kernel.SaFlags, Restorer: le.Uint64(raw[16:]), Mask: kernel.SigSet(le.Uint64(raw[24:])),
		})
		if err != nil {
			return 0, err
		}
	}
	if a[2] == 0 {
		return 0, nil
	}
	var b []byte
	for _, v := range []uint64{old.Handler, old.Flags, old.Restorer, uint64(old.Mask)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return ok(mem(t).CopyOut(a[2], b))
}

func sysRtSigprocmask(t *kernel.Task, a Args) (uint64, error) {
	if a[3] != sigsetSize {
		return 0, unix.EINVAL
	}
	old := t.Mask()
	if a[1] != 0 {
		v, err := mem(t).Load64(a[1])
		if err != nil {
			return 0, err
		}
		set := kernel.SigSet(v)
		switch a.Int(0) {
		case unix.SIG_BLOCK:
			set |= old
		case unix.SIG_UNBLOCK:
			set = old &^ set
		case unix.SIG_SETMASK:
		default:
			return 0, unix.EINVAL
		}
		t.SetMask(set)
	}
	if a[2] == 0 {
		return 0, nil
	}
	return ok(mem(t).Store64(a[2], uint64(old)))
}

func sysRtSigreturn(t *kernel.Task, _ Args) (uint64, error) {
	t.SigReturn()
	return 0, nil
}

func sysRtSigpending(t *kernel.Task, a Args) (uint64, error) {
	if a[1] > sigsetSize {
		return 0, unix.EINVAL
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(t.Pending()&t.Mask()))
	return copyOut(t, a[0], b[:a[1]], nil)
}

// sigsetArg reads a signal set.
func sigsetArg(t *kernel.Task, addr, size uint64) (kernel.SigSet, error) {
	if size != sigsetSize {
		return 0, unix.EINVAL
	}
	v, err := mem(t).Load64(addr)
	return kernel.SigSet(v), err
}

func sysRtSigsuspend(t *kernel.Task, a Args) (uint64, error) {
	set, err := sigsetArg(t, a[0], a[1])
	if err != nil {
		return 0, err
	}
	t.SetMaskFor(set)
	return sysPause(t, a)
}

func sysPause(t *kernel.Task, _ Args) (uint64, error) {
	t.Sleep(nil, time.Time{})
	return 0, kernel.ERESTARTNOHAND
}

func sysRtSigtimedwait(t *kernel.Task, a Args) (uint64, error) {
	set, err := sigsetArg(t, a[0], a[3])
	if err != nil {
		return 0, err
	}
	deadline, err := timeout(t, a[2])
	if err != nil {
		return 0, err
	}
	info, found := t.Take(^set)
	if !found {
		// Let the signals waited for end the sleep.
		t.AwaitSignals(set)
		err = t.Sleep(nil, deadline)
		info, found = t.Take(^set)
		t.RestoreMask()
	}
	switch {
	case found && a[1] != 0:
		return uint64(info.Signo), mem(t).CopyOut(a[1], info.Append(nil))
	case found:
		return uint64(info.Signo), nil
	case err == unix.ETIMEDOUT:
		return 0, unix.EAGAIN
	}
	return 0, unix.EINTR
}

func sysSigaltstack(t *kernel.Task, a Args) (uint64, error) {
	sp := t.CPU.Reg(abi.RSP)
	old := t.AltStack(sp)
	if a[0] != 0 {
		var raw [24]byte
		if err := mem(t).CopyIn(a[0], raw[:]); err != nil {
			return 0, err
		}
		le := binary.LittleEndian
		s := kernel.AltStack{Addr: le.Uint64(raw[:]), Flags: le.Uint32(raw[8:]), Size: le.Uint64(raw[16:])}
		if err := t.SetAltStack(s, sp); err != nil {
			return 0, err
		}
	}
	if a[1] == 0 {
		return 0, nil
	}
	b := binary.LittleEndian.AppendUint64(nil, old.Addr)
	b = binary.LittleEndian.AppendUint64(b, uint64(old.Flags))
	return ok(mem(t).CopyOut(a[1], binary.LittleEndian.AppendUint64(b, old.Size)))
}

// signalArg checks a signal number to be sent; 0 only asks whether one could.
func signalArg(t *kernel.Task, n int, code int32) (kernel.SigInfo, error) {
	if n < 0 || n > kernel.MaxSignal {
		return kernel.SigInfo{}, unix.EINVAL
	}
	return kernel.SigInfo{Signo: unix.Signal(n), Code: code, PID: int32(t.PID()), UID: t.Creds().UID}, nil
}

func sysKill(t *kernel.Task, a Args) (uint64, error) {
	info, err := signalArg(t, a.Int(1), kernel.SiUser)
	if err != nil {
		return 0, err
	}
	return ok(t.Kill(a.Int(0), info))
}

func sysTkill(t *kernel.Task, a Args) (uint64, error) {
	info, err := signalArg(t, a.Int(1), kernel.SiTkill)
	if err != nil || a.Int(0) <= 0 {
		return 0, firstError(err, unix.EINVAL)
	}
	return ok(t.SignalThread(0, a.Int(0), info))
}

func sysTgkill(t *kernel.Task, a Args) (uint64, error) {
	info, err := signalArg(t, a.Int(2), kernel.SiTkill)
	if err != nil || a.Int(0) <= 0 || a.Int(1) <= 0 {
		return 0, firstError(err, unix.EINVAL)
	}
	return ok(t.SignalThread(a.Int(0), a.Int(1), info))
}

// queued reads the siginfo_t that a process sends itself or another one.
func queued(t *kernel.Task, sig int, addr uint64) (kernel.SigInfo, error) {
	info, err := siginfoArg(t, addr)
	if err != nil {
		return kernel.SigInfo{}, err
	}
	if sig < 0 || sig > kernel.MaxSignal {
		return kernel.SigInfo{}, unix.EINVAL
	}
	info.Signo = unix.Signal(sig)
	return info, nil
}

// siginfoArg reads a siginfo_t of one process about another.
func siginfoArg(t *kernel.Task, addr uint64) (kernel.SigInfo, error) {
	var raw [kernel.SigInfoSize]byte
	if err := mem(t).CopyIn(addr, raw[:]); err != nil {
		return kernel.SigInfo{}, err
	}
	le := binary.LittleEndian
	return kernel.SigInfo{
		Signo: unix.Signal(le.Uint32(raw[:])), Errno: int32(le.Uint32(raw[4:])), Code: int32(le.Uint32(raw[8:])),
		PID: int32(le.Uint32(raw[16:])), UID: le.Uint32(raw[20:]), Value: le.Uint64(raw[24:]),
	}, nil
}

func sysRtSigqueueinfo(t *kernel.Task, a Args) (uint64, error) {
	info, err := queued(t, a.Int(1), a[2])
	if err != nil {
		return 0, err
	}
	if err := mayQueue(t, info, a.Int(0)); err != nil {
		return 0, err
	}
	if a.Int(0) <= 0 {
		return 0, unix.ESRCH
	}
	return ok(t.Kill(a.Int(0), info))
}

// mayQueue refuses what pretends to come from the kernel or from kill.
func mayQueue(t *kernel.Task, info kernel.SigInfo, pid int) error {
	if (info.Code >= 0 || info.Code == kernel.SiTkill) && pid != t.PID() {
		return unix.EPERM
	}
	return nil
}

func sysRtTgsigqueueinfo(t *kernel.Task, a Args) (uint64, error) {
	info, err := queued(t, a.Int(2), a[3])
	if err != nil || a.Int(0) <= 0 || a.Int(1) <= 0 {
		return 0, firstError(err, unix.EINVAL)
	}
	if err := mayQueue(t, info, a.Int(0)); err != nil {
		return 0, err
	}
	return ok(t.SignalThread(a.Int(0), a.Int(1), info))
}
