package machine

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/megabin/megabin/layers/abi"
)

// until waits for something that another thread does.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 10000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("not within ten seconds: %s", what)
}

// TestHeart: the words of CPUs in guest code are written to, and no others; the
// thread sleeps when there is no guest, and wakes for the next one. More CPUs
// than fit in one allocation have words.
func TestHeart(t *testing.T) {
	h := newHeart(50 * time.Microsecond)
	defer h.close()
	words := make([]atomic.Uint32, 200)
	list := make([]*pulse, len(words))
	for i := range words {
		list[i] = h.attach(&words[i])
	}
	for round := range 2 {
		for i, p := range list {
			words[i].Store(0)
			if i%2 == round {
				h.enter(p)
			}
		}
		until(t, "a beat", func() bool {
			for i := range words {
				if i%2 == round && words[i].Load() != abi.PollNow {
					return false
				}
			}
			return true
		})
		for i := range words {
			if i%2 != round && words[i].Load() != 0 {
				t.Errorf("round %d: word %d was written to", round, i)
			}
		}
		for _, p := range list {
			h.leave(p)
		}
		until(t, "sleep", func() bool { return h.asleep.Load() == 1 })
	}
	for i, p := range list {
		h.enter(p)
		h.detach(p)
		words[i].Store(0)
	}
	other := h.attach(&words[0])
	h.enter(other)
	until(t, "a beat", func() bool { return words[0].Load() == abi.PollNow })
	for i := range words[1:] {
		if words[i+1].Load() != 0 {
			t.Errorf("word %d was written to after it was taken away", i+1)
		}
	}
	h.detach(other)
}

// TestCollection: a garbage collection ends while a guest loops.
func TestCollection(t *testing.T) {
	looking := asm{}.op(opLoop, blockTypeEmpty).load(abi.Guard).i32(-1).op(opI32Eq, opIf, blockTypeEmpty).call(abi.FuncPoll).
		op(0x0b, opBr, 0, 0x0b).op(opUnreachable).function(0, 0)
	var polls atomic.Int64
	var stop atomic.Bool
	h := &recorder{onPoll: func(*CPU) bool { polls.Add(1); return stop.Load() }}
	u := &testUnit{name: t.Name(), funcs: []testFunc{{0, looking}}}
	c := newTestCPU(t, newTestSpace(t, newTestEngine(t, Options{}), u), h, 0)
	done := make(chan Exit)
	go func() { done <- c.Run(context.Background()) }()
	until(t, "a poll", func() bool { return polls.Load() > 0 })
	for range 20 {
		runtime.GC()
	}
	stop.Store(true)
	wantStop(t, <-done)
}

// TestSetStack: the guard is where the stack begins, but for a beat, which is
// not lost.
func TestSetStack(t *testing.T) {
	c := newTestCPU(t, newTestSpace(t, newTestEngine(t, Options{}), nil), &recorder{}, 0)
	want := func(guard uint32) {
		t.Helper()
		if have := uint32(c.Reg(abi.Guard)); have != guard {
			t.Errorf("guard %#x, want %#x", have, guard)
		}
	}
	want(abi.PollNow)
	c.guard.Store(c.stack) // as a poll does
	c.SetStack(testStack)
	want(linear(testStack))
	c.SetStack(0)
	want(abi.MinAddress)
	c.guard.Store(abi.PollNow)
	c.SetStack(testStack)
	want(abi.PollNow)
	c.guard.Store(c.stack)
	want(linear(testStack))
}
