package pack

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/unit"
)

// maxPart bounds the module that a false record can make Part build, in
// bytes.
const maxPart = 1 << 28

// PartDigest is the hash of the module that Part returns, known without
// making it. Precondition: 0 ≤ n < Parts.
func (u *UnitRef) PartDigest(n int) (id blob.ID) {
	copy(id[:], u.parts[n*partSize:])
	return id
}

// PartID is PartDigest with the ordinals of the part's functions, ascending. They are not to be changed. ok is
// false if there is no part n.
func (u *UnitRef) PartID(n int) (id [32]byte, ordinals []int, ok bool) {
	if n < 0 || n >= u.Parts() {
		return id, nil, false
	}
	return u.PartDigest(n), u.ordinals(n), true
}

// ordinals are those of part n's functions.
func (u *UnitRef) ordinals(n int) []int {
	p := u.byPart[n]
	return u.order[p.first:][:p.n:p.n]
}

// Part returns the module of part n, and the ordinals of its functions,
// ascending; docs/formats.md says what is in it. It reads the bodies and call
// table rows of that part only.
func (u *UnitRef) Part(n int) (wasm []byte, ordinals []int, err error) {
	m, wasm, err := u.checkedPart(n)
	if err != nil {
		return nil, nil, err
	}
	return wasm, m.ordinals, nil
}

// checkedPart returns part n and its encoding, whose hash is right.
func (u *UnitRef) checkedPart(n int) (*module, []byte, error) {
	if n < 0 || n >= u.Parts() {
		return nil, nil, fmt.Errorf("unit %v: no part %d in %d", u.meta.Source, n, u.Parts())
	}
	m, err := u.part(n)
	var wasm []byte
	if err == nil {
		wasm, err = m.encode(m.initBody())
	}
	if err == nil && blob.Hash(wasm) != u.PartDigest(n) {
		err = fmt.Errorf("hash is not %v", u.PartDigest(n))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: unit %v: part %d: %w", ErrInvalid, u.meta.Source, n, err)
	}
	return m, wasm, nil
}

// part reads the functions of part n.
func (u *UnitRef) part(n int) (*module, error) {
	ordinals := u.ordinals(n)
	if err := u.checkSize(ordinals); err != nil {
		return nil, err
	}
	bodies := make([]span, len(ordinals))
	calls := make([]span, len(ordinals))
	for i, o := range ordinals {
		f := u.fn(o)
		bodies[i] = span{f.bodyOff, uint64(f.bodyLen)}
		calls[i] = span{u.head.callOff + uint64(f.firstCall)*callSize, uint64(u.endCall(o)-f.firstCall) * callSize}
	}
	code, err := u.m.gather(bodies)
	if err != nil {
		return nil, fmt.Errorf("code: %w", err)
	}
	table, err := u.m.gather(calls)
	if err != nil {
		return nil, fmt.Errorf("call table: %w", err)
	}
	m := newModule(len(ordinals))
	for i, o := range ordinals {
		m.add(o, code[i], decodeCalls(table[i]))
	}
	return m, nil
}

func (u *UnitRef) checkSize(ordinals []int) error {
	size := uint64(0)
	for _, i := range ordinals {
		size += uint64(u.fn(i).bodyLen)
	}
	if size > maxPart {
		return fmt.Errorf("%d bytes of code are more than %d", size, maxPart)
	}
	return nil
}

func decodeCalls(rows []byte) []unit.Call {
	calls := make([]unit.Call, len(rows)/callSize)
	for i := range calls {
		calls[i] = unit.Call{Off: le.Uint32(rows[i*callSize:]), Target: le.Uint32(rows[i*callSize+4:])}
	}
	return calls
}

// span is a range of the file.
type span struct{ off, size uint64 }

// maxGap is how many bytes are rather read in vain than by another read.
const maxGap = 2048

// gather reads spans, those that lie near each other at once. What it returns
// is in the spans' order, and parts of it may share memory.
func (m *Megabinary) gather(spans []span) ([][]byte, error) {
	order := make([]int, len(spans))
	for i := range order {
		order[i] = i
		if s := spans[i]; s.off > m.size || s.size > m.size-s.off {
			return nil, fmt.Errorf("%d bytes at %#x are out of the file of %d bytes", s.size, s.off, m.size)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(spans[a].off, spans[b].off) })
	out := make([][]byte, len(spans))
	for len(order) > 0 {
		first := spans[order[0]].off
		end, n := first, 0
		for n < len(order) && spans[order[n]].off <= end+maxGap {
			end = max(end, spans[order[n]].off+spans[order[n]].size)
			n++
		}
		b, err := m.read(first, end-first)
		if err != nil {
			return nil, err
		}
		for _, i := range order[:n] {
			out[i] = b[spans[i].off-first:][:spans[i].size]
		}
		order = order[n:]
	}
	return out, nil
}
