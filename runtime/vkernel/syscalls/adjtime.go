package syscalls

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// adjOffsetSSRead is ADJ_OFFSET_SS_READ, uapi/linux/timex.h: adjtime that
// changes nothing.
const adjOffsetSSRead = 0xa001

// adjtime tells the state of the host's clock: nobody may change it.
func adjtime(t *kernel.Task, addr uint64) (uint64, error) {
	modes, err := mem(t).Load32(addr)
	if err != nil {
		return 0, err
	}
	if modes != 0 && modes != adjOffsetSSRead {
		return 0, unix.EPERM
	}
	x := unix.Timex{Modes: modes}
	state, err := unix.Adjtimex(&x)
	if err != nil {
		return 0, err
	}
	b := (*[unsafe.Sizeof(x)]byte)(unsafe.Pointer(&x))
	return uint64(state), mem(t).CopyOut(addr, b[:])
}

func sysAdjtimex(t *kernel.Task, a Args) (uint64, error) { return adjtime(t, a[0]) }

func sysClockAdjtime(t *kernel.Task, a Args) (uint64, error) {
	switch id := a.Int(0); {
	case id == unix.CLOCK_REALTIME:
		return adjtime(t, a[1])
	case id < 0 || id > unix.CLOCK_TAI:
		return 0, unix.EINVAL
	}
	return 0, unix.EOPNOTSUPP
}
