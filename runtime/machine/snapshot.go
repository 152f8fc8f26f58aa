package machine

import (
	"os"

	"golang.org/x/sys/unix"
)

// A parent with much memory is not copied at fork: its pages go to a file in
// memory, which parent and child then map privately, so that the host copies
// what either writes later. The next fork copies only what was written since.

// snapshotBytes is from how much written memory on a snapshot costs less than
// a copy.
const snapshotBytes = 8 << 20

// snapshot moves pages to a file that is mapped in their place. Nothing may
// write to them meanwhile.
// Preconditions: as.mu is held for writing.
func (as *AddressSpace) snapshot(pages []pageRange) error {
	fd, err := unix.MemfdCreate("snapshot", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "snapshot")
	b := &backing{file: f}
	b.retain()
	defer b.release()
	if err := unix.Ftruncate(fd, memorySize); err != nil {
		return err
	}
	for _, r := range pages {
		if _, err := f.WriteAt(as.mem[r.start:r.end], int64(r.start)); err != nil {
			return err
		}
	}
	for _, r := range as.joinGaps(pages) {
		start := guest(uint32(r.start))
		a := area{start: start, end: start + r.end - r.start, file: b, off: int64(r.start)}
		if err := as.mapSnapshot(a); err != nil {
			return err
		}
	}
	return nil
}

// mapSnapshot maps a part of a snapshot and remembers it.
func (as *AddressSpace) mapSnapshot(a area) error {
	if err := as.hostMmap(a.start, a.end, int(a.file.file.Fd()), a.off, unix.MAP_PRIVATE|unix.MAP_NORESERVE); err != nil {
		return err
	}
	a.file.retain()
	as.snaps = as.snaps.replace(a.start, a.end, a)
	return nil
}

// maxGap is how much untouched memory between pages is mapped with them, to
// have fewer mappings; bytes.
const maxGap = 1 << 20

// joinGaps joins ranges that have nothing but untouched anonymous memory
// between them, which is zero in the snapshot too.
func (as *AddressSpace) joinGaps(pages []pageRange) (joined []pageRange) {
	for _, r := range pages {
		n := len(joined)
		if n > 0 && r.start-joined[n-1].end <= maxGap && as.untouched(joined[n-1].end, r.start) {
			joined[n-1].end = r.end
			continue
		}
		joined = append(joined, r)
	}
	return joined
}

// untouched tells whether linear addresses without private pages are zero: no
// file and no snapshot is mapped there.
func (as *AddressSpace) untouched(start, end uint64) bool {
	from, to := guest(uint32(start)), guest(uint32(start))+end-start
	if from >= to {
		return true
	}
	lo, hi := as.areas.overlap(from, to)
	for _, a := range as.areas[lo:hi] {
		if a.file != nil {
			return false
		}
	}
	lo, hi = as.snaps.overlap(from, to)
	return lo == hi
}
