package machine

import (
	"runtime"

	"github.com/megabin/megabin/layers/abi"
)

// Bits of MXCSR (SDM volume 1, 10.2.3).
const (
	mxcsrReset = 0x1f80 // all exceptions masked, round to nearest
	mxcsrFlags = 0x003f
	mxcsrMasks = 0x1f80
	mxcsrBits  = 0xffff // those that exist
)

// fpEnv is a guest thread's floating-point environment. SSE arithmetic of
// recompiled code is the same instructions on the same processor, so the host
// thread's MXCSR does for it what the guest's would: rounding control,
// flush-to-zero, denormals-are-zero, and the exception flags. It costs nothing
// until a guest writes MXCSR, which few do: from then on its goroutine keeps a
// thread of its own, whose MXCSR is the guest's while guest code runs and Go's
// while Go does.
//
// Two things are not as on a processor: exceptions are always masked, and the
// flags do not have what was raised before the first write.
type fpEnv struct {
	live  bool
	guest bool // the thread's MXCSR is the guest's
	// locks counts the calls of LockOSThread to be undone.
	locks int
}

func loadMXCSR(v uint32)
func storeMXCSR() uint32

// MXCSR is the guest's MXCSR.
func (c *CPU) MXCSR() uint32 { return uint32(c.Reg(abi.MXCSR)) & mxcsrBits }

func (c *CPU) putMXCSR(v uint32) {
	if c.fp.live {
		v |= abi.MXCSRLive
	}
	c.SetReg(abi.MXCSR, uint64(v))
}

// SetMXCSR sets it. What differs from a fresh thread's makes the environment
// live.
func (c *CPU) SetMXCSR(v uint32) {
	c.putMXCSR(v & mxcsrBits)
	if v&^mxcsrMasks != 0 {
		c.goLive()
	}
}

// goLive makes guest code run with the guest's MXCSR from the next entry on.
func (c *CPU) goLive() {
	if c.fp.live {
		return
	}
	c.fp.live = true
	c.putMXCSR(c.MXCSR())
	if c.depth > 0 {
		c.fp.lock()
	}
}

// lock ties the goroutine to its thread until unlock.
func (e *fpEnv) lock() {
	runtime.LockOSThread()
	e.locks++
}

// unlock undoes the locks of a Run that had n at its start.
func (e *fpEnv) unlock(n int) {
	for ; e.locks > n; e.locks-- {
		runtime.UnlockOSThread()
	}
}

// enterFP gives the thread the guest's MXCSR, before guest code runs.
func (c *CPU) enterFP() {
	if c.fp.live {
		c.fp.guest = true
		loadMXCSR(c.MXCSR() | mxcsrMasks)
	}
}

// leaveFP collects the flags that guest code raised and gives Go its own
// MXCSR back.
func (c *CPU) leaveFP() {
	if c.fp.guest {
		c.fp.guest = false
		c.putMXCSR(c.MXCSR() | storeMXCSR()&mxcsrFlags)
		loadMXCSR(mxcsrReset)
	}
}

func loadGuestMXCSR(c *CPU, v, _, _ uint64) (uint64, uint64) {
	if uint32(v)&^mxcsrBits != 0 {
		c.fault(SEGV, 0, "general protection: reserved bits of mxcsr")
		c.unwind()
	}
	c.SetMXCSR(uint32(v))
	c.goLive()
	return 0, 0
}

func storeGuestMXCSR(c *CPU, _, _, _ uint64) (uint64, uint64) { return uint64(c.MXCSR()), 0 }
