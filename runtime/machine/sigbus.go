package machine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A file that is mapped may become shorter, by whom it belongs to or by the
// guest. Then the host raises SIGBUS for an access past its end, in compiled code
// or in ours, and the Go runtime would end the process with all its containers.

// guestLow and guestHigh are the range of host addresses in which all guest
// memory lies, nextSIGBUS what the handler was. onSIGBUS reads them.
var (
	guestLow, guestHigh atomic.Uintptr
	nextSIGBUS          uintptr
)

func onSIGBUS()
func addrOnSIGBUS() uintptr

// sigaction is the host kernel's struct sigaction.
type sigaction struct {
	handler, flags, restorer, mask uint64
}

func rtSigaction(sig unix.Signal, set, old *sigaction) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)),
		unsafe.Sizeof(set.mask), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// surviveSIGBUS puts onSIGBUS before the Go runtime's handler.
var surviveSIGBUS = sync.OnceValue(func() error {
	var a sigaction
	if err := rtSigaction(unix.SIGBUS, nil, &a); err != nil {
		return fmt.Errorf("reading the handler of SIGBUS: %w", err)
	}
	nextSIGBUS = uintptr(a.handler)
	a.handler = uint64(addrOnSIGBUS())
	if err := rtSigaction(unix.SIGBUS, &a, nil); err != nil {
		return fmt.Errorf("setting the handler of SIGBUS: %w", err)
	}
	return nil
})

// widen makes the range of guest memory include mem.
func widen(mem []byte) {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(mem)))
	for low := guestLow.Load(); low == 0 || start < low; low = guestLow.Load() {
		if guestLow.CompareAndSwap(low, start) {
			break
		}
	}
	end := start + uintptr(len(mem))
	for high := guestHigh.Load(); end > high; high = guestHigh.Load() {
		if guestHigh.CompareAndSwap(high, end) {
			break
		}
	}
}
