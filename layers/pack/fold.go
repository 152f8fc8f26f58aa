package pack

import (
	"encoding/binary"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// folder finds identical functions. Functions are numbered over all units in
// the order they are added. Two are in one class when their bytes apart from
// call targets are equal and their targets are, pairwise, in one class: the
// coarsest such partition, found by refining the one by bytes alone.
type folder struct {
	class   []uint32 // per function
	sizes   []uint32 // per function: body bytes
	first   []uint32 // per function and one more: its first row of targets
	targets []uint32 // function numbers
	byBytes map[blob.ID]uint32
	members [][]uint32 // per class
	scratch []byte
}

func newFolder() *folder {
	return &folder{first: []uint32{0}, byBytes: map[blob.ID]uint32{}}
}

// function is what folding needs to know of a function.
type function struct {
	bytes   blob.ID // hash of all of it but its call targets
	size    uint32  // of the body, bytes
	targets []uint32
}

// summarize lists the functions of u.
func summarize(u *unit.Unit) []function {
	list := make([]function, len(u.Funcs))
	var scratch []byte
	for i := range u.Funcs {
		fn := &u.Funcs[i]
		list[i].size = uint32(len(fn.Body))
		list[i].bytes, scratch = hashBytes(fn, scratch)
		for _, c := range fn.Calls {
			list[i].targets = append(list[i].targets, c.Target)
		}
	}
	return list
}

// hashBytes hashes all of a function but its call targets.
func hashBytes(fn *unit.Func, scratch []byte) (blob.ID, []byte) {
	b := wasmenc.AppendU(scratch[:0], uint64(len(fn.Calls)))
	for _, c := range fn.Calls {
		b = binary.LittleEndian.AppendUint32(b, c.Off)
	}
	at := len(b)
	b = append(b, fn.Body...)
	for _, c := range fn.Calls {
		wasmenc.PutPadded(b[at+int(c.Off):], 0)
	}
	return blob.Hash(b), b
}

// add appends the functions of a unit.
func (f *folder) add(list []function) {
	base := uint32(len(f.class))
	for i := range list {
		fn := &list[i]
		c, ok := f.byBytes[fn.bytes]
		if !ok {
			c = uint32(len(f.members))
			f.byBytes[fn.bytes] = c
			f.members = append(f.members, nil)
		}
		f.members[c] = append(f.members[c], uint32(len(f.class)))
		f.class = append(f.class, c)
		f.sizes = append(f.sizes, fn.size)
		for _, target := range fn.targets {
			f.targets = append(f.targets, base+target)
		}
		f.first = append(f.first, uint32(len(f.targets)))
	}
}

// fold refines the classes until nothing changes.
func (f *folder) fold() {
	f.byBytes = nil
	for changed := true; changed; {
		changed = false
		for c := range f.members {
			if len(f.members[c]) > 1 && f.split(c) {
				changed = true
			}
		}
	}
}

// split moves the members of class c whose targets' classes differ from the
// first member's into new classes.
func (f *folder) split(c int) bool {
	groups := map[string]uint32{}
	var keep []uint32
	for i, m := range f.members[c] {
		key := f.targetClasses(m)
		to, ok := groups[key]
		switch {
		case i == 0:
			to = uint32(c)
			groups[key] = to
		case !ok:
			to = uint32(len(f.members))
			groups[key] = to
			f.members = append(f.members, nil)
		}
		if to == uint32(c) {
			keep = append(keep, m)
		} else {
			f.members[to] = append(f.members[to], m)
		}
	}
	f.members[c] = keep
	for _, to := range groups {
		for _, m := range f.members[to] {
			f.class[m] = to
		}
	}
	return len(groups) > 1
}

func (f *folder) targetClasses(fn uint32) string {
	b := f.scratch[:0]
	for _, t := range f.targets[f.first[fn]:f.first[fn+1]] {
		b = binary.LittleEndian.AppendUint32(b, f.class[t])
	}
	f.scratch = b
	return string(b)
}
