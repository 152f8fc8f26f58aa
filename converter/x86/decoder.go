package x86

import (
	"encoding/binary"

	"golang.org/x/arch/x86/x86asm"
)

// Decoder decodes the instructions of one program. Most of them repeat others
// byte for byte, and what they say but for their address is the same then: it is
// decoded once. The zero value is ready.
type Decoder struct {
	slots []decoded // hash table with linear probing, a power of two of them
	count int
}

// decoded is the instruction with these bytes; nil is one that there is not.
type decoded struct {
	encoding
	inst *x86asm.Inst
}

// encoding is the bytes of an instruction, padded with zeros, and its length in the last one.
// Zero is none.
type encoding struct{ low, high uint64 }

func encodingOf(code []byte) encoding {
	var b [MaxLen + 1]byte
	copy(b[:], code)
	b[MaxLen] = byte(len(code))
	return encoding{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}

func (b encoding) hash() uint64 {
	const odd = 0x9e3779b97f4a7c15 // 2⁶⁴ divided by the golden ratio
	h := (b.low*odd ^ b.high) * odd
	return h ^ h>>32
}

// nothing is what there is of an instruction that can't be decoded.
var nothing = &x86asm.Inst{}

// Decode is the package's Decode.
func (d *Decoder) Decode(code []byte, pc uint64) (Inst, error) {
	if len(code) > MaxLen {
		code = code[:MaxLen]
	}
	l, err := scan(code)
	if err != nil {
		return Inst{Inst: nothing}, describe(err, code, pc)
	}
	in := d.decode(code[:l.length], &l)
	if in == nil {
		return Inst{Inst: nothing}, describe(ErrUnknown, code, pc)
	}
	return Inst{Inst: in, Addr: pc}, nil
}

func (d *Decoder) decode(code []byte, l *layout) *x86asm.Inst {
	if 2*d.count >= len(d.slots) {
		d.grow()
	}
	b := encodingOf(code)
	s := d.slot(b)
	if s.encoding != b {
		*s = decoded{b, decode(code, l)}
		d.count++
	}
	return s.inst
}

// slot finds b, or the free slot where it belongs.
func (d *Decoder) slot(b encoding) *decoded {
	mask := uint64(len(d.slots) - 1)
	for at := b.hash() & mask; ; at = (at + 1) & mask {
		if s := &d.slots[at]; s.encoding == b || s.encoding == (encoding{}) {
			return s
		}
	}
}

func (d *Decoder) grow() {
	old := d.slots
	d.slots = make([]decoded, max(2, 2*len(old)))
	for _, s := range old {
		if s.encoding != (encoding{}) {
			*d.slot(s.encoding) = s
		}
	}
}
