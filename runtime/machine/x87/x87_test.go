package x87

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/megabin/megabin/layers/abi"
)

// The unit is compared with the processor's in integration/difftest; here is
// what a processor can't tell.

func TestBounds(t *testing.T) {
	mem := make([]byte, abi.MinAddress+64)
	s := NewState()
	ops := []abi.X87Op{
		abi.X87(abi.X87Load, abi.X87SrcF80, 0, 0), abi.X87(abi.X87StoreF80, 0, 0, 1), abi.X87(abi.X87StoreBCD, 0, 0, 1),
		abi.X87(abi.X87GetEnv, 0, 0, 0), abi.X87(abi.X87SetEnv, 0, 0, 0), abi.X87(abi.X87Save, 0, 0, 0), abi.X87(abi.X87Restore, 0, 0, 0),
	}
	for _, op := range ops {
		for _, addr := range []int64{0, abi.MinAddress - 1, abi.MinAddress + 55, abi.MinAddress + 64, 0xffffffff, -1} {
			if _, err := s.Do(mem, op, addr); !errors.Is(err, ErrBounds) {
				t.Errorf("operation %#x at %#x: %v, want ErrBounds", op, addr, err)
			}
		}
	}
}

// FuzzDo runs any operation: whatever a unit asks for, the machine lives.
func FuzzDo(f *testing.F) {
	for op := range abi.NumX87Ops {
		f.Add(int32(abi.X87(op, abi.X87SrcF64, 1, 1)), int64(math.Float64bits(1.5)), uint16(0x37f))
	}
	f.Fuzz(func(t *testing.T, op int32, operand int64, cw uint16) {
		mem := make([]byte, abi.MinAddress+256)
		s := NewState()
		s.SetCW(cw)
		for i := range uint8(4) {
			s.push(fromInt(operand >> i))
		}
		s.Do(mem, abi.X87Op(op), operand)
		s.Do(mem, abi.X87Op(op), abi.MinAddress|operand&0x7f)
	})
}

// TestDivision compares with exact rationals, in all rounding modes.
func TestDivision(t *testing.T) {
	for _, c := range [][2]int64{{1, 3}, {2, 3}, {-1, 3}, {355, 113}, {1, math.MaxInt64}, {math.MinInt64, 7}} {
		for rc, mode := range []big.RoundingMode{big.ToNearestEven, big.ToNegativeInf, big.ToPositiveInf, big.ToZero} {
			u := unit{rc: rc, prec: extended}
			got := u.div(fromInt(c[0]), fromInt(c[1])).exactFloat()
			want := new(big.Float).SetPrec(64).SetMode(mode).SetRat(big.NewRat(c[0], c[1]))
			if got.Cmp(want) != 0 {
				t.Errorf("%d/%d, rounding control %d: %v, want %v", c[0], c[1], rc, got, want)
			}
		}
	}
}

// TestNoGarbage: what programs do for each conversion of a float, such as to
// set the precision, leaves nothing to collect.
func TestNoGarbage(t *testing.T) {
	s := NewState()
	ops := map[abi.X87Op]int64{
		abi.X87(abi.X87GetCW, 0, 0, 0): 0, abi.X87(abi.X87SetCW, 0, 0, 0): initialCW,
		abi.X87(abi.X87Load, abi.X87SrcF64, 0, 0): 0x3ff8000000000000, abi.X87(abi.X87Mul, abi.X87SrcReg, 0, 0): 0,
		abi.X87(abi.X87StoreF64, 0, 0, 1): 0,
	}
	for op, operand := range ops {
		if n := testing.AllocsPerRun(100, func() { s.Do(nil, op, operand) }); n != 0 {
			t.Errorf("operation %#x makes %v objects", op, n)
		}
	}
}

// TestZeros: the one operation is as those that it stands for, whatever is on the stack.
func TestZeros(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		var b [FXSaveSize]byte
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		if rnd.IntN(2) == 0 {
			b[4] = 0 // nothing is on the stack, as it should be
		}
		one, many := NewState(), NewState()
		one.SetFXSave(b[:])
		many.SetFXSave(b[:])
		n := 1 + rnd.IntN(8)
		do := func(s *State, op abi.X87Op) {
			if _, err := s.Do(nil, op, 0); err != nil {
				t.Fatal(err)
			}
		}
		do(&one, abi.X87(abi.X87Zeros, abi.X87SrcReg, uint8(n-1), 0))
		for range n {
			do(&many, abi.X87(abi.X87LoadConst, abi.X87SrcReg, abi.X87Zero, 0))
		}
		for range n {
			do(&many, abi.X87(abi.X87StoreReg, abi.X87SrcReg, 0, 1))
		}
		var got, want [FXSaveSize]byte
		one.PutFXSave(got[:])
		many.PutFXSave(want[:])
		if got != want {
			t.Fatalf("%d zeros from %x:\n%x, by single instructions\n%x", n, b[:160], got[:160], want[:160])
		}
	}
}
