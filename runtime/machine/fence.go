package machine

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// What guest code does to a page is checked by the host's processor: a mapping has
// there the protection that it has in the guest, and what is not mapped can't
// be accessed. The kernel's own accesses are checked before they are made.
//
// Each piece with a protection of its own is a mapping of the host's, and so is each gap; it
// allows 65,530 to all guests of the runner together (vm.max_map_count). So an address
// space that has very many, or is made when all together have, is left open: all of its
// memory can be read and written.

// maxPieces is how many pieces an address space may have.
const maxPieces = 4096

// maxAllPieces is from how many pieces of all on a new address space is left open;
// half as many more, and one that changes is opened.
var maxAllPieces = sync.OnceValue(func() int64 {
	const usual = 65_530
	b, _ := os.ReadFile("/proc/sys/vm/max_map_count")
	n, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
	if err != nil {
		n = usual
	}
	return n / 4
})

// fence is what the host lets code do to a linear memory.
type fence struct {
	mem   []byte
	held  areas // pieces that can be accessed, with ProtRead or ProtRead|ProtWrite; with open: none
	open  bool
	total *atomic.Int64 // pieces of all
}

// newFence is the fence of memory that can't be accessed.
func newFence(mem []byte, total *atomic.Int64) (*fence, error) {
	f := &fence{mem: mem, total: total}
	if total.Load() > maxAllPieces() {
		return f, f.lift()
	}
	return f, nil
}

// hostProt is the host's protection for a guest's: there is no memory that can
// only be written, nor any that only code is fetched from.
func hostProt(p Prot) Prot {
	switch {
	case p&ProtWrite != 0:
		return ProtRead | ProtWrite
	case p != 0:
		return ProtRead
	}
	return 0
}

// protAt is the protection at start, and up to where before end it is the same.
func (s areas) protAt(start, end uint64) (Prot, uint64) {
	i := s.from(start)
	switch {
	case i == len(s):
		return 0, end
	case s[i].start > start:
		return 0, min(s[i].start, end)
	}
	return s[i].prot, min(s[i].end, end)
}

// of is what the host is to be asked for, for a protection of hostProt's.
func (f *fence) of(p Prot) Prot {
	if f.open {
		return ProtRead | ProtWrite
	}
	return p
}

// note records that [start, end) has protection p, of hostProt.
func (f *fence) note(start, end uint64, p Prot) {
	if f.open {
		return
	}
	before := len(f.held)
	if p == 0 {
		f.held = f.held.replace(start, end)
	} else {
		f.held = f.held.replace(start, end, area{start: start, end: end, prot: p})
	}
	f.total.Add(int64(len(f.held) - before))
}

// set gives [start, end) protection p, of hostProt.
func (f *fence) set(start, end uint64, p Prot) error {
	for start < end && !f.open {
		have, till := f.held.protAt(start, end)
		if have != p {
			switch err := unix.Mprotect(f.mem[start:till], int(p)); {
			case errors.Is(err, unix.ENOMEM): // the host has no mappings left
				return f.lift()
			case err != nil:
				return err
			}
			f.note(start, till, p)
		}
		start = till
	}
	return nil
}

// hold gives [start, end) the protection that want has there.
func (f *fence) hold(start, end uint64, want areas) error {
	if err := f.bound(); err != nil {
		return err
	}
	for start < end && !f.open {
		p, till := want.protAt(start, end)
		if err := f.set(start, till, hostProt(p)); err != nil {
			return err
		}
		start = till
	}
	return nil
}

// bound opens the memory if it is in too many pieces.
func (f *fence) bound() error {
	if f.open || len(f.held) <= maxPieces && f.total.Load() <= maxAllPieces()*3/2 {
		return nil
	}
	return f.lift()
}

// lift lets all memory be read and written.
func (f *fence) lift() error {
	if err := unix.Mprotect(f.mem[MinAddr:], unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return err
	}
	f.forget()
	f.open = true
	return nil
}

// forget says that none of the memory can be accessed any more.
func (f *fence) forget() {
	f.total.Add(-int64(len(f.held)))
	f.held, f.open = nil, false
}

// hostMmap maps r with protection p, of hostProt, in place of what is there.
func (f *fence) hostMmap(r pageRange, fd int, off int64, flags int, p Prot) error {
	if err := f.bound(); err != nil {
		return err
	}
	err := hostMmap(f.mem, r, fd, off, flags, f.of(p))
	if errors.Is(err, unix.ENOMEM) && !f.open && f.lift() == nil {
		err = hostMmap(f.mem, r, fd, off, flags, f.of(p))
	}
	if err != nil {
		return err
	}
	f.note(r.start, r.end, p)
	return nil
}
