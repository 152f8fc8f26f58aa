package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// polled is one file that poll or select watches.
type polled struct {
	d    *vfs.Description // nil: the descriptor is not open
	want wait.Mask
	got  wait.Mask
}

// look fills in what is ready and tells how many are.
func look(t *kernel.Task, list []polled) (ready int) {
	for i := range list {
		p := &list[i]
		p.got = wait.NVal
		if p.d != nil {
			p.got = readyFor(t, p.d) & (p.want | wait.Always)
		}
		if p.got != 0 {
			ready++
		}
	}
	return ready
}

// pollAll waits until one of the files is ready, the deadline (zero: none)
// or a signal.
func pollAll(t *kernel.Task, list []polled, deadline time.Time) (int, error) {
	defer func() {
		for _, p := range list {
			if p.d != nil {
				p.d.Unref()
			}
		}
	}()
	if n := look(t, list); n > 0 || !deadline.IsZero() && !deadline.After(time.Now()) {
		return n, nil
	}
	changed := make(chan struct{}, 1)
	for _, p := range list {
		if p.d == nil {
			continue
		}
		q, e := queueFor(t, p.d), wait.NewEntry(p.want, func(wait.Mask) {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
		q.Register(e)
		defer q.Unregister(e)
	}
	for {
		if n := look(t, list); n > 0 {
			return n, nil
		}
		if err := t.Sleep(changed, deadline); err != nil {
			if n := look(t, list); n > 0 || err == unix.ETIMEDOUT {
				return n, nil
			}
			return 0, kernel.ERESTARTNOHAND
		}
	}
}

// pollfdSize is sizeof(struct pollfd): fd, events, revents.
const pollfdSize = 8

// poll is poll and ppoll.
func poll(t *kernel.Task, addr uint64, n uint32, deadline time.Time) (uint64, error) {
	if int(n) > t.Group.Limits.Files() {
		return 0, unix.EINVAL
	}
	raw := make([]byte, pollfdSize*int(n))
	if err := mem(t).CopyIn(addr, raw); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	var list []polled
	var index []int
	for i := range int(n) {
		fd := int(int32(le.Uint32(raw[8*i:])))
		le.PutUint16(raw[8*i+6:], 0)
		if fd < 0 {
			continue
		}
		d, _ := t.FDs.Get(fd)
		list = append(list, polled{d: d, want: wait.Mask(le.Uint16(raw[8*i+4:]))})
		index = append(index, i)
	}
	ready, err := pollAll(t, list, deadline)
	if err != nil {
		return 0, err
	}
	for k, p := range list {
		le.PutUint16(raw[8*index[k]+6:], uint16(p.got))
	}
	return uint64(ready), mem(t).CopyOut(addr, raw)
}

// milliseconds is the deadline for a timeout in ms, of which negative ones
// are none.
func milliseconds(t *kernel.Task, ms int) time.Time {
	if ms < 0 {
		return time.Time{}
	}
	return t.Until(after(time.Duration(ms) * time.Millisecond))
}

func sysPoll(t *kernel.Task, a Args) (uint64, error) {
	n, err := poll(t, a[0], a.Uint(1), milliseconds(t, a.Int(2)))
	if err == kernel.ERESTARTNOHAND {
		err = kernel.ERESTART_RESTARTBLOCK
	}
	return n, err
}

func sysPpoll(t *kernel.Task, a Args) (uint64, error) {
	deadline, err := timeout(t, a[2])
	if err == nil && a[3] != 0 {
		err = withMask(t, a[3], a[4])
	}
	if err != nil {
		return 0, err
	}
	n, err := poll(t, a[0], a.Uint(1), deadline)
	if left := storeLeft(t, a[2], deadline, 1); left != nil && err == nil {
		err = left
	}
	return n, err
}

// withMask blocks another set of signals for the rest of the call.
func withMask(t *kernel.Task, addr, size uint64) error {
	set, err := sigsetArg(t, addr, size)
	if err == nil {
		t.SetMaskFor(set)
	}
	return err
}

// storeLeft writes what is left of a timeout back, as Linux does, in units
// of so many nanoseconds.
func storeLeft(t *kernel.Task, addr uint64, deadline time.Time, unit time.Duration) error {
	if addr == 0 {
		return nil
	}
	left := max(0, time.Until(deadline))
	b := binary.LittleEndian.AppendUint64(nil, uint64(left/time.Second))
	return mem(t).CopyOut(addr, binary.LittleEndian.AppendUint64(b, uint64(left%time.Second/unit)))
}

// selectMasks are the events of select's three sets, fs/select.c.
var selectMasks = [3]wait.Mask{wait.In | wait.Hup | wait.Err, wait.Out | wait.Err, wait.Pri}

// fdSets is select's three sets of descriptors.
type fdSets struct {
	n    int
	addr [3]uint64
	bits [3][]byte
}

func readSets(t *kernel.Task, n int, addr [3]uint64) (*fdSets, error) {
	if n < 0 {
		return nil, unix.EINVAL
	}
	s := &fdSets{n: min(n, t.Group.Limits.Files()), addr: addr}
	for i, a := range addr {
		if a == 0 {
			continue
		}
		s.bits[i] = make([]byte, (s.n+63)/64*8)
		if err := mem(t).CopyIn(a, s.bits[i]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *fdSets) has(set, fd int) bool {
	return s.bits[set] != nil && s.bits[set][fd/8]>>(fd%8)&1 != 0
}

// watched lists the files of the sets, and their descriptors.
func (s *fdSets) watched(t *kernel.Task) (list []polled, fds []int, err error) {
	for fd := range s.n {
		var want wait.Mask
		for set, mask := range selectMasks {
			if s.has(set, fd) {
				want |= mask
			}
		}
		if want == 0 {
			continue
		}
		d, err := t.FDs.Get(fd)
		if err != nil {
			for _, p := range list {
				p.d.Unref()
			}
			return nil, nil, err
		}
		list, fds = append(list, polled{d: d, want: want}), append(fds, fd)
	}
	return list, fds, nil
}

// store writes back the sets with what is ready, and counts it.
func (s *fdSets) store(t *kernel.Task, list []polled, fds []int) (uint64, error) {
	total := uint64(0)
	for set, bits := range s.bits {
		if bits == nil {
			continue
		}
		out := make([]byte, len(bits))
		for i, fd := range fds {
			if s.has(set, fd) && list[i].got&selectMasks[set] != 0 {
				out[fd/8] |= 1 << (fd % 8)
				total++
			}
		}
		if err := mem(t).CopyOut(s.addr[set], out); err != nil {
			return 0, err
		}
	}
	return total, nil
}

func selectFiles(t *kernel.Task, a Args, deadline time.Time) (uint64, error) {
	sets, err := readSets(t, a.Int(0), [3]uint64{a[1], a[2], a[3]})
	if err != nil {
		return 0, err
	}
	list, fds, err := sets.watched(t)
	if err != nil {
		return 0, err
	}
	if _, err := pollAll(t, list, deadline); err != nil {
		return 0, err
	}
	return sets.store(t, list, fds)
}

func sysSelect(t *kernel.Task, a Args) (uint64, error) {
	deadline, err := timevalDeadline(t, a[4])
	if err != nil {
		return 0, err
	}
	n, err := selectFiles(t, a, deadline)
	if left := storeLeft(t, a[4], deadline, time.Microsecond); left != nil && err == nil {
		err = left
	}
	return n, err
}

// withMaskAt is withMask with the set and the size that are at addr; there may
// be none, or no set.
func withMaskAt(t *kernel.Task, addr uint64) error {
	if addr == 0 {
		return nil
	}
	set, err1 := mem(t).Load64(addr)
	size, err2 := mem(t).Load64(addr + 8)
	if err := firstError(err1, err2); err != nil || set == 0 {
		return err
	}
	return withMask(t, set, size)
}

func sysPselect6(t *kernel.Task, a Args) (uint64, error) {
	deadline, err := timeout(t, a[4])
	if err != nil {
		return 0, err
	}
	if err := withMaskAt(t, a[5]); err != nil {
		return 0, err
	}
	n, err := selectFiles(t, a, deadline)
	if left := storeLeft(t, a[4], deadline, 1); left != nil && err == nil {
		err = left
	}
	return n, err
}

// timevalDeadline is the deadline after the timeval at addr: none if addr
// is 0.
func timevalDeadline(t *kernel.Task, addr uint64) (time.Time, error) {
	if addr == 0 {
		return time.Time{}, nil
	}
	var raw [16]byte
	if err := mem(t).CopyIn(addr, raw[:]); err != nil {
		return time.Time{}, err
	}
	sec, usec := int64(binary.LittleEndian.Uint64(raw[:])), int64(binary.LittleEndian.Uint64(raw[8:]))
	d, err := lengthOf(linux.Timespec{Sec: sec + usec/1e6, Nsec: usec % 1e6 * 1000})
	return t.Until(after(d)), err
}
