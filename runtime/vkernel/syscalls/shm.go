package syscalls

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/ipc"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/mm"
)

// Flags of shmat that package unix has not, uapi/linux/shm.h.
const (
	shmRemap = 0o40000
	shmExec  = 0o100000
)

func sysShmget(t *kernel.Task, a Args) (uint64, error) {
	return count(t.K.IPC.Shm.Get(t.IPCCaller(), int32(a[0]), a[1], a.Int(2), func(size uint64) (mm.Backing, error) {
		d, err := memoryFile(t, "/SYSV (deleted)", 0)
		if err != nil {
			return nil, err
		}
		if err := d.Truncate(int64(mm.PageUp(size))); err != nil {
			d.Unref()
			return nil, err
		}
		return t.NewMapping(d), nil
	}))
}

// sysShmat maps a segment, which is attached as long as it is mapped.
func sysShmat(t *kernel.Task, a Args) (uint64, error) {
	r, err := attachment(a[1], a.Int(2))
	if err != nil {
		return 0, err
	}
	r.By = asker(t, "shmat")
	segment, size, err := t.K.IPC.Shm.Attach(t.IPCCaller(), a.Int(0), r.Prot&unix.PROT_WRITE != 0, r.Prot&unix.PROT_EXEC != 0)
	if err != nil {
		return 0, err
	}
	defer segment.Release()
	r.File, r.Len = segment, size
	addr, err := t.MM.Map(r)
	switch {
	case err == unix.EEXIST:
		err = unix.EINVAL
	case err == nil:
		segment.Touched(t.IPCCaller())
	}
	return addr, err
}

// attachment is the mapping that shmat's address and flags ask for.
func attachment(addr uint64, flags int) (r mm.Request, err error) {
	r = mm.Request{Prot: unix.PROT_READ | unix.PROT_WRITE, Flags: unix.MAP_SHARED, MaxProt: protAll}
	if flags&unix.SHM_RDONLY != 0 {
		r.Prot = unix.PROT_READ
		r.MaxProt &^= unix.PROT_WRITE
	}
	if flags&shmExec != 0 {
		r.Prot |= unix.PROT_EXEC
	}
	if addr%mm.PageSize != 0 {
		if flags&unix.SHM_RND == 0 {
			return r, unix.EINVAL
		}
		addr = mm.PageDown(addr)
		if addr == 0 && flags&shmRemap != 0 {
			return r, unix.EINVAL
		}
	}
	switch {
	case addr == 0 && flags&shmRemap != 0:
		return r, unix.EINVAL
	case addr == 0:
	case flags&shmRemap != 0:
		r.Flags |= unix.MAP_FIXED
	default:
		r.Flags |= unix.MAP_FIXED_NOREPLACE
	}
	r.Addr = addr
	return r, nil
}

func sysShmdt(t *kernel.Task, a Args) (uint64, error) {
	if a[0]%mm.PageSize != 0 {
		return 0, unix.EINVAL
	}
	var segment *ipc.Segment
	found := t.MM.UnmapFile(a[0], func(b mm.Backing) (is bool) {
		s, is := b.(*ipc.Segment)
		if is {
			segment = s
		}
		return is
	})
	if !found {
		return 0, unix.EINVAL
	}
	segment.Touched(t.IPCCaller())
	return 0, nil
}

// Commands of shmctl, uapi/linux/shm.h.
const (
	shmLock    = 11
	shmUnlock  = 12
	shmStat    = 13
	shmInfo    = 14
	shmStatAny = 15
)

var shmControls = map[int]ipcControl{
	ipcRmid: func(t *kernel.Task, id int, _ uint64) (uint64, error) {
		return ok(t.K.IPC.Shm.Remove(t.IPCCaller(), id))
	},
	ipcSet: func(t *kernel.Task, id int, arg uint64) (uint64, error) {
		p, err := permArg(t, arg)
		if err != nil {
			return 0, err
		}
		return ok(t.K.IPC.Shm.Set(t.IPCCaller(), id, p))
	},
	ipcStat: statControl(func(t *kernel.Task, id int) (ipc.ShmStat, int, error) {
		s, err := t.K.IPC.Shm.Stat(t.IPCCaller(), id)
		return s, 0, err
	}, encodeShm),
	shmStat: statControl(func(t *kernel.Task, i int) (ipc.ShmStat, int, error) {
		return t.K.IPC.Shm.StatAt(t.IPCCaller(), i, false)
	}, encodeShm),
	shmStatAny: statControl(func(t *kernel.Task, i int) (ipc.ShmStat, int, error) {
		return t.K.IPC.Shm.StatAt(t.IPCCaller(), i, true)
	}, encodeShm),
	shmLock:   shmLocker(true),
	shmUnlock: shmLocker(false),
	ipcInfo: infoControl(func(t *kernel.Task) ([]byte, int) { // struct shminfo64
		return words(ipc.ShmMax, ipc.ShmMin, ipc.ShmMNI, ipc.ShmMNI, ipc.ShmAll, 0, 0, 0, 0), t.K.IPC.Shm.Info().Last
	}),
	shmInfo: infoControl(func(t *kernel.Task) ([]byte, int) { // struct shm_info
		i := t.K.IPC.Shm.Info()
		return words(uint64(i.Segments), i.Pages, 0, 0, 0, 0), i.Last
	}),
}

func shmLocker(locked bool) ipcControl {
	return func(t *kernel.Task, id int, _ uint64) (uint64, error) {
		return ok(t.K.IPC.Shm.Lock(t.IPCCaller(), id, locked))
	}
}

// encodeShm is struct shmid64_ds.
func encodeShm(s ipc.ShmStat) []byte {
	b := append(appendPerm(nil, s.Perm), words(s.Size, uint64(s.Atime), uint64(s.Dtime), uint64(s.Ctime))...)
	b = append(b, ints(s.CPID, s.LPID)...)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.Attached))
	return append(b, words(0, 0)...)
}
