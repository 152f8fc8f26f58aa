package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/futex"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// Of struct futex_waitv, uapi/linux/futex.h.
const (
	waitvSize = 24 // bytes
	waitvMax  = 128

	futex2Size     = 3 // mask of a word's size
	futex2SizeU32  = 2
	futex2Private  = 128
	futex2AllFlags = futex2Size | futex2Private
)

// waitWord is a struct futex_waitv: a word, and what it must be for the wait to begin.
type waitWord struct {
	addr  uint64
	key   futex.Key
	value uint32
}

// waitWords reads n structs futex_waitv.
func waitWords(t *kernel.Task, addr uint64, n int) ([]waitWord, error) {
	raw := make([]byte, n*waitvSize)
	if err := mem(t).CopyIn(addr, raw); err != nil {
		return nil, err
	}
	words := make([]waitWord, n)
	for i := range words {
		b := raw[i*waitvSize:]
		value, flags := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[16:])
		w := waitWord{addr: binary.LittleEndian.Uint64(b[8:]), value: uint32(value)}
		reserved := binary.LittleEndian.Uint32(b[20:])
		if flags&^futex2AllFlags != 0 || flags&futex2Size != futex2SizeU32 || reserved != 0 || value>>32 != 0 {
			return nil, unix.EINVAL
		}
		w.key = t.FutexKey(w.addr, flags&futex2Private != 0)
		words[i] = w
	}
	return words, nil
}

func sysFutexWaitv(t *kernel.Task, a Args) (uint64, error) {
	n, clock := a.Uint(1), a.Int(4)
	if a.Uint(2) != 0 || n == 0 || n > waitvMax || a[0] == 0 {
		return 0, unix.EINVAL
	}
	var deadline time.Time
	if a[3] != 0 {
		if clock != unix.CLOCK_MONOTONIC && clock != unix.CLOCK_REALTIME {
			return 0, unix.EINVAL
		}
		var err error
		if deadline, err = absolute(t, a[3], clock == unix.CLOCK_REALTIME); err != nil {
			return 0, err
		}
	}
	words, err := waitWords(t, a[0], int(n))
	if err != nil {
		return 0, err
	}
	return count(waitAny(t, words, deadline))
}

// waitAny waits on all words at once and tells which was woken, the last if
// there are several.
func waitAny(t *kernel.Task, words []waitWord, deadline time.Time) (int, error) {
	for i := range words {
		if words[i].addr%4 != 0 {
			return 0, unix.EINVAL
		}
	}
	c := make(chan struct{}, 1)
	var waiters []*futex.Waiter
	for _, word := range words {
		w, err := t.K.Futexes.EnqueueOn(c, word.key, futex.AllBits, func() error { return expect(t, word.addr, word.value) })
		if err != nil {
			return cancelAll(t, waiters, err)
		}
		waiters = append(waiters, w)
	}
	return cancelAll(t, waiters, t.Sleep(c, deadline))
}

// cancelAll ends the waits and tells which of the words was woken, or err if none was.
func cancelAll(t *kernel.Task, waiters []*futex.Waiter, err error) (int, error) {
	woken := -1
	for i, w := range waiters {
		if t.K.Futexes.Cancel(w) {
			woken = i
		}
	}
	if woken < 0 {
		return 0, err
	}
	return woken, nil
}
