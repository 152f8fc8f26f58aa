package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// rusageSize is sizeof(struct rusage), voluntarySwitches where ru_nvcsw is in
// it, bytes.
const (
	rusageSize        = 144
	maxRSS            = 32
	voluntarySwitches = 128
)

// rusage is struct rusage. What the guest's code and what the kernel used for
// it is not told apart: all of it is user time.
func rusage(u kernel.Usage) []byte {
	b := make([]byte, rusageSize)
	le := binary.LittleEndian
	le.PutUint64(b, uint64(u.Time/time.Second))
	le.PutUint64(b[8:], uint64(u.Time%time.Second/time.Microsecond))
	le.PutUint64(b[maxRSS:], u.MaxRSS/1024)
	le.PutUint64(b[voluntarySwitches:], uint64(u.Switches))
	return b
}

func sysGetrusage(t *kernel.Task, a Args) (uint64, error) {
	var u kernel.Usage
	switch a.Int(0) {
	case unix.RUSAGE_SELF:
		u = t.Group.Usage()
		u.MaxRSS = t.MM.Mapped()
	case unix.RUSAGE_CHILDREN:
		u = t.Group.ChildUsage()
	case unix.RUSAGE_THREAD:
		u = t.Usage()
	default:
		return 0, unix.EINVAL
	}
	return copyOut(t, a[1], rusage(u), nil)
}

// clockTick is one unit of times(2): USER_HZ is 100.
const clockTick = 10 * time.Millisecond

func sysTimes(t *kernel.Task, a Args) (uint64, error) {
	if a[0] != 0 {
		le := binary.LittleEndian
		b := le.AppendUint64(nil, uint64(t.Group.Usage().Time/clockTick))
		b = le.AppendUint64(b, 0)
		b = le.AppendUint64(b, uint64(t.Group.ChildUsage().Time/clockTick))
		if err := mem(t).CopyOut(a[0], le.AppendUint64(b, 0)); err != nil {
			return 0, err
		}
	}
	return uint64(time.Since(t.K.Boot) / clockTick), nil
}
