package machine

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/tetratelabs/wazero/api"
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/abi"
)

// The host raises SIGSEGV where compiled code, without a bounds check, leaves
// linear memory, and SIGBUS for an access past the end of a file that is mapped: it
// may become shorter, by whom it belongs to or by the guest, or was too short from
// the beginning. The Go runtime would end the process with all its containers.
//
// Compiled code is left, with the processor's state on its stack. If the guest has a handler,
// that runs nested, and the access is repeated when it returns. Go code, the kernel's or what is done for
// a guest's instruction, does not leave linear memory; past a file's end it goes on
// with a page of zeros, and looks at touches when it can. Then the page is the file's again.

// guestLow and guestHigh are the range of host addresses in which all guest
// memory lies, nextSIGBUS and nextSIGSEGV what the handlers were. onFault reads them.
var (
	guestLow, guestHigh     atomic.Uintptr
	nextSIGBUS, nextSIGSEGV uintptr
)

func onFault()
func addrOnFault() uintptr
func resumeFault()
func addrResumeFault() uintptr

// currentG tells goroutines apart.
func currentG() uintptr

// stay is a goroutine in compiled code: the innermost of the engine's calls.
// The assembly knows its layout and size.
type stay struct {
	g      uintptr // 0: none
	exec   uintptr // the engine's executionContext
	fault  uintptr // the host address whose access ended it; 0: none did
	signal uintptr // which that was
}

// stays are as many as are allocated at a time. They are never freed, for
// onFault may look at them at any time.
type stays struct {
	next *stays
	_    uintptr
	list [63]stay
}

var (
	allStays  *stays // grows at its head
	staysMu   sync.Mutex
	freeStays []*stay
)

// newStay gives a stay out.
func newStay() *stay {
	staysMu.Lock()
	defer staysMu.Unlock()
	if len(freeStays) == 0 {
		b := &stays{next: allStays}
		for i := range b.list {
			freeStays = append(freeStays, &b.list[i])
		}
		allStays = b
	}
	last := len(freeStays) - 1
	s := freeStays[last]
	freeStays = freeStays[:last]
	return s
}

// free takes a stay back.
func (s *stay) free() {
	staysMu.Lock()
	defer staysMu.Unlock()
	s.g = 0
	freeStays = append(freeStays, s)
}

// begin says that the goroutine is about to enter compiled code by an engine's
// call. The result is for end.
func (s *stay) begin(exec uintptr) (outer stay) {
	outer = *s
	s.exec, s.fault = exec, 0
	s.g = currentG()
	return outer
}

// end says that the call has ended, and gives the host address whose access
// did it, or 0.
func (s *stay) end(outer stay) (fault uintptr) {
	fault = s.fault
	*s = outer
	return fault
}

// Fault is what the engine asks of a call's context at an access that the host did not
// allow: it gives the address of what repeats it.
func (g *guestContext) Fault() (resume *byte) {
	c := g.cpu
	c.leaveFP()
	c.suspend()
	f := c.denied()
	target := c.Reg(abi.Target)
	retry, stop := c.handler.Fault(c, f)
	switch {
	case stop:
		c.exit = &Exit{Stopped: true}
		c.unwind()
	case !retry:
		c.exit = &Exit{Fault: f}
		c.unwind()
	}
	c.SetReg(abi.Target, target)
	c.resume()
	c.enterFP()
	at := addrResumeFault()
	return *(**byte)(unsafe.Pointer(&at)) // code, which no collector moves
}

// denied is the access at which compiled code was left.
func (c *CPU) denied() *Fault {
	f := &Fault{Kind: SEGV, PC: c.Reg(abi.PC), Reason: "access that is not allowed"}
	if c.stay.signal == uintptr(unix.SIGBUS) {
		f.Kind, f.Reason = BUS, "access past a file's end"
	}
	if addr, ok := c.space.guestOf(c.stay.fault); ok {
		f.Addr = addr
	}
	return f
}

// execFields are fields of the engine's executionContext with the offsets that the assembly has.
var execFields = map[string]uintptr{
	"exitCode": 0, "originalFramePointer": 16, "originalStackPointer": 24,
	"goCallReturnAddress": 48, "stackPointerBeforeGoCall": 56, "framePointerBeforeGoCall": 1152,
}

// execOffset is where functions have it, checked with the first one.
var execOffset struct {
	sync.Once
	bytes uintptr
	err   error
}

// execOf is the address of a function's executionContext.
func execOf(f api.Function) (uintptr, error) {
	execOffset.Do(func() { execOffset.bytes, execOffset.err = findExec(reflect.TypeOf(f)) })
	return reflect.ValueOf(f).Pointer() + execOffset.bytes, execOffset.err
}

func findExec(t reflect.Type) (uintptr, error) {
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return 0, fmt.Errorf("BUG: this wazero's functions are a %s", t)
	}
	exec, ok := t.Elem().FieldByName("execCtx")
	if !ok {
		return 0, errors.New("BUG: this wazero's functions have no execCtx")
	}
	for name, offset := range execFields {
		if field, ok := exec.Type.FieldByName(name); !ok || field.Offset != offset {
			return 0, fmt.Errorf("BUG: this wazero keeps %s elsewhere than at %d", name, offset)
		}
	}
	return exec.Offset, nil
}

// touch is an access that gave SIGBUS. The assembly knows its layout and size,
// and the length of touches.
type touch struct {
	number atomic.Uint64 // what sigbuses was with it; written last
	addr   uintptr       // the host's
	g      uintptr       // whose it was
	zeros  uintptr       // 1: there is a page of zeros now
}

// touches are the last ones. sigbuses counts all of them.
var (
	touches  [256]touch
	sigbuses atomic.Uint64
)

// touchesSince calls f with what the goroutine touched of as after the first n of all
// touches, as far as they are there, and makes the pages the file's again. Others'
// are theirs to restore: by now something else may be mapped there.
func (as *AddressSpace) touchesSince(n uint64, f func(addr uint64)) {
	me, end := currentG(), sigbuses.Load()
	for i := max(n, end-min(end, uint64(len(touches)))); i < end; i++ {
		t := &touches[i%uint64(len(touches))]
		if t.number.Load() != i+1 || t.g != me {
			continue
		}
		if addr, ok := as.guestOf(t.addr); ok {
			if t.zeros != 0 {
				as.restore(addr)
			}
			f(addr)
		}
	}
}

// guestOf is the guest address of a host's within reach of compiled code.
func (as *AddressSpace) guestOf(host uintptr) (addr uint64, ok bool) {
	lin := int64(host - uintptr(unsafe.Pointer(unsafe.SliceData(as.mem))))
	if lin < -memoryBelow || lin >= memoryReach {
		return 0, false
	}
	return guest(uint32(lin)), true
}

// pastEnd tells whether the goroutine has touched [addr, addr+size) past a
// file's end after the first n of all touches.
func (as *AddressSpace) pastEnd(n, addr, size uint64) (found bool) {
	if sigbuses.Load() == n {
		return false
	}
	as.touchesSince(n, func(at uint64) {
		found = found || at >= addr&^(pageSize-1) && at < addr+size
	})
	return found
}

// restore maps the file's page at addr again.
func (as *AddressSpace) restore(addr uint64) {
	page := addr &^ (pageSize - 1)
	as.mu.Lock()
	defer as.mu.Unlock()
	i := as.areas.from(page)
	if i == len(as.areas) || as.areas[i].start > page || as.areas[i].file == nil {
		return
	}
	as.hostMap(as.areas[i].slice(page, page+pageSize)) // if it can't be mapped it stays as it is
}

// reaches tells whether no page of a range of memory lies past its file's end.
func (as *AddressSpace) reaches(addr, n uint64) bool {
	before := sigbuses.Load()
	readPages(as.bytes(addr, n), addr)
	return !as.pastEnd(before, addr, n)
}

// readPages reads a byte of each page of b, which begins at addr.
//
//go:noinline
func readPages(b []byte, addr uint64) (x byte) {
	for i := uint64(0); i < uint64(len(b)); i += pageSize - (addr+i)%pageSize {
		x |= b[i]
	}
	return x
}

// PastEnd is the address at which the guest has touched a mapping past the end
// of its file since the last system call. It is called after a fault, or
// within a Handler before that does anything to guest memory.
func (c *CPU) PastEnd() (addr uint64, found bool) {
	n := c.touches
	if sigbuses.Load() == n {
		return 0, false
	}
	c.touches = sigbuses.Load()
	c.space.touchesSince(n, func(at uint64) {
		if !found {
			addr, found = at, true
		}
	})
	return addr, found
}

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

// surviveFaults puts onFault before the Go runtime's handlers.
var surviveFaults = sync.OnceValue(func() error {
	return errors.Join(handleFault(unix.SIGBUS, &nextSIGBUS), handleFault(unix.SIGSEGV, &nextSIGSEGV))
})

// handleFault makes onFault the handler of sig. What was it goes to next.
func handleFault(sig unix.Signal, next *uintptr) error {
	var a sigaction
	if err := rtSigaction(sig, nil, &a); err != nil {
		return fmt.Errorf("reading the handler of %v: %w", sig, err)
	}
	*next = uintptr(a.handler)
	a.handler = uint64(addrOnFault())
	if err := rtSigaction(sig, &a, nil); err != nil {
		return fmt.Errorf("setting the handler of %v: %w", sig, err)
	}
	return nil
}

// widen makes the range of guest memory include [start, end).
func widen(start, end uintptr) {
	for low := guestLow.Load(); low == 0 || start < low; low = guestLow.Load() {
		if guestLow.CompareAndSwap(low, start) {
			break
		}
	}
	for high := guestHigh.Load(); end > high; high = guestHigh.Load() {
		if guestHigh.CompareAndSwap(high, end) {
			break
		}
	}
}
