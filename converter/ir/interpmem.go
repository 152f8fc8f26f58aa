package ir

import "encoding/binary"

// access does a load, a store or an atomic operation.
func (m *Interp) access(v *Value, args []Word) (Word, error) {
	n := int(v.Aux2)
	if v.Op < AtomicLoad {
		n = v.Op.Width()
	}
	p, err := m.bytes(uint32(args[0].Lo), uint32(v.Aux), n)
	if err != nil {
		return Word{}, err
	}
	old := load(p)
	switch {
	case v.Op < Store32:
		return extend(v, old, n), nil
	case v.Op < AtomicLoad:
		store(p, args[1])
		return Word{}, nil
	case v.Op > AtomicLoad:
		store(p, Word{Lo: atomic(v.Op, old.Lo, args, n)})
	}
	return old, nil
}

// bytes is the memory at base+offset, which does not wrap.
func (m *Interp) bytes(base, offset uint32, n int) ([]byte, error) {
	at := uint64(base) + uint64(offset)
	if at+uint64(n) > uint64(len(m.Mem)) {
		return nil, ErrBounds
	}
	return m.Mem[at : at+uint64(n)], nil
}

func load(p []byte) Word {
	var b [16]byte
	copy(b[:], p)
	return Word{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])}
}

func store(p []byte, w Word) {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], w.Lo)
	binary.LittleEndian.PutUint64(b[8:], w.Hi)
	copy(p, b[:])
}

// extend widens what a load read, by its sign where the operation says so.
func extend(v *Value, w Word, n int) Word {
	switch v.Op {
	case Load8S32, Load16S32, Load8S64, Load16S64, Load32S64:
		shift := 64 - 8*n
		w.Lo = uint64(int64(w.Lo) << shift >> shift)
		if v.Type == I32 {
			w.Lo = uint64(uint32(w.Lo))
		}
	}
	return w
}

// atomic is what is stored.
func atomic(op Op, old uint64, args []Word, n int) uint64 {
	x := args[1].Lo
	switch op {
	case AtomicAdd:
		return old + x
	case AtomicSub:
		return old - x
	case AtomicAnd:
		return old & x
	case AtomicOr:
		return old | x
	case AtomicXor:
		return old ^ x
	case AtomicCmpxchg:
		if old == x<<(64-8*n)>>(64-8*n) {
			return args[2].Lo
		}
		return old
	}
	return x
}

// bulk does memory.copy and memory.fill, which check bounds first.
func (m *Interp) bulk(v *Value, args []Word) error {
	n := int(uint32(args[2].Lo))
	dst, err := m.bytes(uint32(args[0].Lo), 0, n)
	if err != nil {
		return err
	}
	if v.Op == Copy32 {
		src, err := m.bytes(uint32(args[1].Lo), 0, n)
		copy(dst, src)
		return err
	}
	for i := range dst {
		dst[i] = byte(args[1].Lo)
	}
	return nil
}
