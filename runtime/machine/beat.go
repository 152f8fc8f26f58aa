package machine

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/tetratelabs/wazero/api"
	"golang.org/x/sys/unix"
)

// Recompiled code has no place where the Go runtime could stop it: a goroutine
// in a guest's loop has to call a host function from time to time, or every
// garbage collection waits for it, and with it all containers. The loop looks
// at a word for that, and someone has to write it. No goroutine can: while a
// collection waits it stops all others. So a thread does that is in a system
// call for ever, as far as the Go runtime knows.

// period is the time between two beats, in nanoseconds; it bounds what a
// garbage collection waits for guests.
const (
	period         = 2 * time.Millisecond
	restlessPeriod = 20 * time.Microsecond
)

// pulse is what a CPU shares with the thread that beats. The assembly knows its
// layout and size.
type pulse struct {
	inGuest atomic.Uint32  // 1: guest code may run, and word is written to
	_       uint32         //
	word    *atomic.Uint32 // in the CPU's abi.Guard
	_       [48]byte       // one cache line each
}

// pulses is as many of them as are allocated at a time.
type pulses struct {
	next *pulses
	_    [56]byte
	list [63]pulse
}

// heart is the thread and what it needs. The assembly knows the layout of the
// first fields.
type heart struct {
	stop   atomic.Uint32 // 1: the thread is to end
	pass   atomic.Uint32 // odd: the thread is writing to words
	asleep atomic.Uint32 // 1: the thread sleeps until it is woken, for no guest runs
	quiet  uint32        // beats in a row with no guest
	pulses *pulses       // grows at its head
	sleep  [2]int64      // between beats: seconds, nanoseconds

	mu    sync.Mutex
	free  []*pulse
	ended chan struct{}
}

//go:linkname entersyscall runtime.entersyscall
func entersyscall()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

// beat writes to the words of all CPUs in guest code, again and again, until
// h.stop is set. It touches no stack and nothing of the Go runtime.
//
//go:noescape
func beat(h *heart)

// newHeart starts to beat.
func newHeart(every time.Duration) *heart {
	h := &heart{sleep: [2]int64{0, int64(every)}, ended: make(chan struct{})}
	go h.run()
	return h
}

//go:norace
func (h *heart) run() {
	entersyscall()
	beat(h)
	exitsyscall()
	close(h.ended)
}

// close ends the thread.
func (h *heart) close() {
	h.stop.Store(1)
	h.wake()
	<-h.ended
}

// attach has the beats write to a word from when inGuest is 1.
func (h *heart) attach(word *atomic.Uint32) *pulse {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.free) == 0 {
		more := &pulses{next: h.pulses}
		h.pulses = more
		for i := range more.list {
			h.free = append(h.free, &more.list[i])
		}
	}
	p := h.free[len(h.free)-1]
	h.free = h.free[:len(h.free)-1]
	p.word = word
	return p
}

// detach ends that. The word is not written to when it has returned.
func (h *heart) detach(p *pulse) {
	p.inGuest.Store(0)
	for pass := h.pass.Load(); pass%2 == 1 && h.pass.Load() == pass; {
		time.Sleep(time.Microsecond)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p.word = nil
	h.free = append(h.free, p)
}

// enter says that guest code may run.
func (h *heart) enter(p *pulse) {
	p.inGuest.Store(1)
	if h.asleep.Load() != 0 {
		h.wake()
	}
}

// leave says that none does.
func (h *heart) leave(p *pulse) { p.inGuest.Store(0) }

// wake wakes the thread if it sleeps for want of guests.
func (h *heart) wake() {
	if h.asleep.Swap(0) != 0 {
		unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&h.asleep)), futexWakePrivate, 1, 0, 0, 0)
	}
}

// futexWakePrivate is FUTEX_WAKE|FUTEX_PRIVATE_FLAG (futex(2)).
const futexWakePrivate = 1 | 128

// wordOf is where recompiled code finds the value of a global, which wazero has
// no way to tell. It is in the instance's own memory, whose fields are found by
// their names and the place in it by its content: should wazero keep globals
// elsewhere one day, that is an error here and not a stray write.
func wordOf(g api.MutableGlobal) (*atomic.Uint32, error) {
	memory, err := memoryOf(g)
	if err != nil {
		return nil, fmt.Errorf("BUG: this wazero keeps globals elsewhere: %w", err)
	}
	was := g.Get()
	defer g.Set(was)
	at := -1
	for _, mark := range []uint64{0x5a17_c3e9, 0xa5e8_3c16} {
		g.Set(mark)
		found := -1
		for i := 0; i+8 <= len(memory); i += 8 {
			if binary.LittleEndian.Uint64(memory[i:]) == mark {
				found = i
			}
		}
		if found < 0 || at >= 0 && found != at {
			return nil, fmt.Errorf("BUG: this wazero keeps globals elsewhere: %#x is not where it was set", mark)
		}
		at = found
	}
	return (*atomic.Uint32)(unsafe.Pointer(&memory[at])), nil
}

// memoryOf is the memory of the instance that owns a global.
func memoryOf(g api.MutableGlobal) ([]byte, error) {
	v := reflect.ValueOf(g)
	for _, name := range []string{"g", "Me", "opaque"} {
		for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return nil, fmt.Errorf("no field %s in a %s", name, v.Kind())
		}
		if v = v.FieldByName(name); !v.IsValid() {
			return nil, fmt.Errorf("no field %s", name)
		}
	}
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.Uint8 {
		return nil, fmt.Errorf("its memory is a %s", v.Type())
	}
	return unsafe.Slice((*byte)(v.UnsafePointer()), v.Len()), nil
}
