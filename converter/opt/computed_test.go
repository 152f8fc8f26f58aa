package opt

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/megabin/megabin/converter/ir"
)

// TestComputed compares computed with a map of which a copy is kept for each
// place to go back to.
func TestComputed(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	f := &ir.Func{}
	for range 200 {
		c := newComputed()
		computedWalk(t, random, f, c, map[key]*ir.Value{}, 6)
		if len(c.entries) != 0 || c.load >= 0 {
			t.Fatal("something is left at the beginning")
		}
	}
}

func computedWalk(t *testing.T, random *rand.Rand, f *ir.Func, c *computed, want map[key]*ir.Value, depth int) {
	for range random.IntN(40) {
		k := key{op: []ir.Op{ir.Load32, ir.I32Add, ir.GetReg}[random.IntN(3)], typ: ir.I32, aux: random.Int64N(8), args: [3]int32{random.Int32N(3)}}
		switch random.IntN(12) {
		case 0:
			c.forgetAll()
			clear(want)
		case 1, 2:
			c.forget(k)
			delete(want, k)
		case 3, 4:
			c.forgetLoads(func(l *key) bool { return l.aux < k.aux })
			maps.DeleteFunc(want, func(l key, _ *ir.Value) bool { return l.op == ir.Load32 && l.aux < k.aux })
		default:
			v := c.find(k)
			if v != want[k] {
				t.Fatalf("%+v: %v, want %v", k, v, want[k])
			}
			if v == nil {
				want[k] = f.NewValue(ir.I32Add, ir.I32)
				c.learn(k, want[k])
			}
		}
		if depth > 0 && random.IntN(20) == 0 {
			m := c.mark()
			computedWalk(t, random, f, c, maps.Clone(want), depth-1)
			c.backTo(m)
		}
	}
	if depth == 6 {
		c.backTo(mark{})
	}
}
