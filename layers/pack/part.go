package pack

import (
	"fmt"

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

// Part returns the module of part n, and the ordinals of its functions,
// ascending; docs/formats.md says what is in it. It reads the bodies and call
// table rows of that part only.
func (u *UnitRef) Part(n int) (wasm []byte, ordinals []int, err error) {
	if n < 0 || n >= u.Parts() {
		return nil, nil, fmt.Errorf("unit %v: no part %d in %d", u.meta.Source, n, u.Parts())
	}
	wasm, ordinals, err = u.part(n)
	if err == nil && blob.Hash(wasm) != u.PartDigest(n) {
		err = fmt.Errorf("hash is not %v", u.PartDigest(n))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: unit %v: part %d: %w", ErrInvalid, u.meta.Source, n, err)
	}
	return wasm, ordinals, nil
}

func (u *UnitRef) part(n int) ([]byte, []int, error) {
	p := u.byPart[n]
	ordinals := u.order[p.first:][:p.n:p.n]
	if err := u.checkSize(ordinals); err != nil {
		return nil, nil, err
	}
	m := newModule(len(ordinals))
	bodies, calls := window{r: u.m}, window{r: u.m}
	for _, i := range ordinals {
		f := u.fn(i)
		body, err := bodies.get(f.bodyOff, uint64(f.bodyLen))
		if err != nil {
			return nil, nil, fmt.Errorf("function %d: %w", i, err)
		}
		list, err := u.calls(&calls, i)
		if err != nil {
			return nil, nil, fmt.Errorf("function %d: %w", i, err)
		}
		m.add(i, body, list)
	}
	wasm, err := m.encode()
	return wasm, ordinals, err
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

// calls reads a function's rows of the call table.
func (u *UnitRef) calls(w *window, ordinal int) ([]unit.Call, error) {
	first, end := u.fn(ordinal).firstCall, u.endCall(ordinal)
	if first == end {
		return nil, nil
	}
	if u.head.callOff > u.m.size {
		return nil, fmt.Errorf("call table at %#x is out of the file", u.head.callOff)
	}
	b, err := w.get(u.head.callOff+uint64(first)*callSize, uint64(end-first)*callSize)
	if err != nil {
		return nil, err
	}
	calls := make([]unit.Call, end-first)
	for i := range calls {
		calls[i] = unit.Call{Off: le.Uint32(b[i*callSize:]), Target: le.Uint32(b[i*callSize+4:])}
	}
	return calls, nil
}

// window holds what was read last, so that the bodies of a part, which
// mostly lie together, take few reads.
type window struct {
	r   *Megabinary
	off uint64
	b   []byte
}

const readAhead = 1 << 14

// get returns n bytes at off, which stay as they are.
func (w *window) get(off, n uint64) ([]byte, error) {
	if have := uint64(len(w.b)); off >= w.off && off-w.off <= have && n <= have-(off-w.off) {
		return w.b[off-w.off:][:n], nil
	}
	want := n
	if off < w.r.size {
		want = max(n, min(readAhead, w.r.size-off))
	}
	b, err := w.r.read(off, want)
	if err != nil {
		return nil, err
	}
	w.off, w.b = off, b
	return b[:n], nil
}
