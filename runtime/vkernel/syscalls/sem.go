package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/ipc"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

func sysSemget(t *kernel.Task, a Args) (uint64, error) {
	return count(t.K.IPC.Sem.Get(t.IPCCaller(), int32(a[0]), a.Int(1), a.Int(2)))
}

func sysSemop(t *kernel.Task, a Args) (uint64, error) {
	a[3] = 0
	return sysSemtimedop(t, a)
}

// sysSemtimedop is never made again after a signal: EINTR.
func sysSemtimedop(t *kernel.Task, a Args) (uint64, error) {
	deadline := time.Time{}
	if a[3] != 0 {
		d, err := duration(t, a[3])
		if err != nil {
			return 0, err
		}
		deadline = after(d)
	}
	ops, err := semOps(t, a[1], a.Uint(2))
	if err != nil {
		return 0, err
	}
	if a.Int(0) < 0 {
		return 0, unix.EINVAL
	}
	sems, undo := &t.K.IPC.Sem, (*ipc.Undo)(nil)
	for _, op := range ops {
		if op.Flags&ipc.SemUndo != 0 {
			undo = t.Undo()
		}
	}
	w, err := sems.Op(t.IPCCaller(), undo, a.Int(0), ops)
	if w == nil {
		return 0, err
	}
	var result error
	err = sleepOn(t, w.C, deadline, func() (done bool) {
		done, result = sems.Cancel(a.Int(0), w)
		return done
	})
	switch err {
	case nil:
		return 0, firstError(result, w.Err())
	case unix.ETIMEDOUT:
		return 0, unix.EAGAIN
	}
	return 0, unix.EINTR
}

// semOps reads an array of struct sembuf.
func semOps(t *kernel.Task, addr uint64, n uint32) ([]ipc.SemOp, error) {
	if n < 1 {
		return nil, unix.EINVAL
	}
	if n > ipc.SemOPM {
		return nil, unix.E2BIG
	}
	raw := make([]byte, 6*n)
	if err := mem(t).CopyIn(addr, raw); err != nil {
		return nil, err
	}
	ops := make([]ipc.SemOp, n)
	_, err := binary.Decode(raw, binary.LittleEndian, ops)
	return ops, err
}

// Commands of semctl, uapi/linux/sem.h.
const (
	semGetPID  = 11
	semGetVal  = 12
	semGetAll  = 13
	semGetNCnt = 14
	semGetZCnt = 15
	semSetVal  = 16
	semSetAll  = 17
	semStat    = 18
	semInfo    = 19
	semStatAny = 20
)

var semGets = map[int]func(ipc.Semaphore) int{
	semGetPID:  func(s ipc.Semaphore) int { return s.PID },
	semGetVal:  func(s ipc.Semaphore) int { return s.Value },
	semGetNCnt: func(s ipc.Semaphore) int { return s.Waiting },
	semGetZCnt: func(s ipc.Semaphore) int { return s.Zero },
}

var semSetControl = controlOf(semControls, 2, 3)

// sysSemctl: the commands that are about one semaphore take its number.
func sysSemctl(t *kernel.Task, a Args) (uint64, error) {
	id, num, cmd := a.Int(0), a.Int(1), a.Int(2)
	if id < 0 {
		return 0, unix.EINVAL
	}
	if cmd == semSetVal {
		return ok(t.K.IPC.Sem.SetValue(t.IPCCaller(), id, num, a.Int(3)))
	}
	if get, found := semGets[cmd]; found {
		s, err := t.K.IPC.Sem.Semaphore(t.IPCCaller(), id, num)
		return uint64(get(s)), err
	}
	return semSetControl(t, a)
}

var semControls = map[int]ipcControl{
	ipcRmid: func(t *kernel.Task, id int, _ uint64) (uint64, error) {
		return ok(t.K.IPC.Sem.Remove(t.IPCCaller(), id))
	},
	ipcSet: func(t *kernel.Task, id int, arg uint64) (uint64, error) {
		p, err := permArg(t, arg)
		if err != nil {
			return 0, err
		}
		return ok(t.K.IPC.Sem.Set(t.IPCCaller(), id, p))
	},
	ipcStat: statControl(func(t *kernel.Task, id int) (ipc.SemStat, int, error) {
		s, err := t.K.IPC.Sem.Stat(t.IPCCaller(), id)
		return s, 0, err
	}, encodeSem),
	semStat: statControl(func(t *kernel.Task, i int) (ipc.SemStat, int, error) {
		return t.K.IPC.Sem.StatAt(t.IPCCaller(), i, false)
	}, encodeSem),
	semStatAny: statControl(func(t *kernel.Task, i int) (ipc.SemStat, int, error) {
		return t.K.IPC.Sem.StatAt(t.IPCCaller(), i, true)
	}, encodeSem),
	semGetAll: func(t *kernel.Task, id int, arg uint64) (uint64, error) {
		values, err := t.K.IPC.Sem.Values(t.IPCCaller(), id)
		var b []byte
		for _, v := range values {
			b = binary.LittleEndian.AppendUint16(b, v)
		}
		return copyOut(t, arg, b, err)
	},
	semSetAll: semSetValues,
	ipcInfo:   semInfoControl(func(ipc.SemInfo) (sets, sems int) { return 20, ipc.SemVMX }),
	semInfo:   semInfoControl(func(i ipc.SemInfo) (sets, sems int) { return i.Sets, i.Sems }),
}

func semSetValues(t *kernel.Task, id int, arg uint64) (uint64, error) {
	n, err := t.K.IPC.Sem.Count(t.IPCCaller(), id)
	if err != nil {
		return 0, err
	}
	raw, values := make([]byte, 2*n), make([]uint16, n)
	if err := mem(t).CopyIn(arg, raw); err != nil {
		return 0, err
	}
	for i := range values {
		values[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	return ok(t.K.IPC.Sem.SetValues(t.IPCCaller(), id, values))
}

// semInfoControl gives struct seminfo, of which two members depend on the
// command: semusz and semaem.
func semInfoControl(used func(ipc.SemInfo) (usz, aem int)) ipcControl {
	return infoControl(func(t *kernel.Task) ([]byte, int) {
		i := t.K.IPC.Sem.Info()
		usz, aem := used(i)
		return ints(ipc.SemMNS, ipc.SemMNI, ipc.SemMNS, ipc.SemMNS, ipc.SemMSL, ipc.SemOPM, ipc.SemOPM, usz, ipc.SemVMX, aem), i.Last
	})
}

// encodeSem is struct semid64_ds.
func encodeSem(s ipc.SemStat) []byte {
	return append(appendPerm(nil, s.Perm), words(uint64(s.Otime), 0, uint64(s.Ctime), 0, uint64(s.Count), 0, 0)...)
}
