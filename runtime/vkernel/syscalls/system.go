package syscalls

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// utsField is the size of a field of struct utsname, bytes.
const utsField = 65

func sysUname(t *kernel.Task, a Args) (uint64, error) {
	b := make([]byte, 6*utsField)
	for i, s := range []string{"Linux", t.K.Hostname, kernel.Release, kernel.Version, "x86_64", "(none)"} {
		copy(b[i*utsField:(i+1)*utsField-1], s)
	}
	return copyOut(t, a[0], b, nil)
}

func sysSethostname(*kernel.Task, Args) (uint64, error) { return 0, unix.EPERM }

// sysinfoSize is sizeof(struct sysinfo).
const sysinfoSize = 112

func sysSysinfo(t *kernel.Task, a Args) (uint64, error) {
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	b := le.AppendUint64(nil, uint64(time.Since(t.K.Boot)/time.Second))
	for _, v := range s.Loads {
		b = le.AppendUint64(b, v)
	}
	for _, v := range []uint64{s.Totalram, s.Freeram, s.Sharedram, s.Bufferram, s.Totalswap, s.Freeswap} {
		b = le.AppendUint64(b, v)
	}
	b = le.AppendUint64(b, uint64(len(t.K.Processes())))
	b = le.AppendUint64(b, s.Totalhigh)
	b = le.AppendUint64(b, s.Freehigh)
	b = le.AppendUint32(b, s.Unit)
	return copyOut(t, a[0], append(b, make([]byte, sysinfoSize-len(b))...), nil)
}

const getrandomFlags = unix.GRND_NONBLOCK | unix.GRND_RANDOM | unix.GRND_INSECURE

func sysGetrandom(t *kernel.Task, a Args) (uint64, error) {
	if a.Uint(2)&^getrandomFlags != 0 || a.Uint(2)&(unix.GRND_RANDOM|unix.GRND_INSECURE) == unix.GRND_RANDOM|unix.GRND_INSECURE {
		return 0, unix.EINVAL
	}
	p, err := buffer(t, a[0], a[1], true)
	if err != nil {
		return 0, err
	}
	rand.Read(p)
	return uint64(len(p)), nil
}

func sysSchedYield(*kernel.Task, Args) (uint64, error) {
	runtime.Gosched()
	return 0, nil
}

func sysGetcpu(t *kernel.Task, a Args) (uint64, error) {
	for _, addr := range a[:2] {
		if addr != 0 {
			if err := mem(t).Store32(addr, 0); err != nil {
				return 0, err
			}
		}
	}
	return 0, nil
}

// niceZero is getpriority's answer for nice value 0: 20 - nice.
const niceZero = 20

func sysGetpriority(t *kernel.Task, a Args) (uint64, error) {
	nice, err := t.Nice(a.Int(0), a.Int(1))
	return uint64(niceZero - nice), err
}

func sysSetpriority(t *kernel.Task, a Args) (uint64, error) {
	return ok(t.SetNice(a.Int(0), a.Int(1), a.Int(2)))
}

func sysSyslog(*kernel.Task, Args) (uint64, error) { return 0, unix.EPERM }

// notPermitted is for what a container may not do.
func notPermitted(*kernel.Task, Args) (uint64, error) { return 0, unix.EPERM }

// sysIoprioGet and sysIoprioSet name what setpriority does by numbers that are
// one higher.
func sysIoprioGet(t *kernel.Task, a Args) (uint64, error) {
	p, err := t.IOPrio(a.Int(0)-1, a.Int(1))
	return uint64(p), err
}

func sysIoprioSet(t *kernel.Task, a Args) (uint64, error) {
	if a.Uint(2) > math.MaxUint16 {
		return 0, unix.EINVAL
	}
	return ok(t.SetIOPrio(a.Int(0)-1, a.Int(1), kernel.IOPrio(a[2])))
}
