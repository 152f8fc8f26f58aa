package machine

import (
	"context"
	"testing"

	"github.com/megabin/megabin/layers/abi"
)

// answers returns a unit whose function 0 makes system call nr and returns answer, and
// whose function 1 ends.
func answers(name string, nr int64, answer int64) *testUnit {
	return &testUnit{name: name, funcs: []testFunc{
		{0, asm{}.syscall(nr).op(opDrop).ret(func(a asm) asm { return a.i64(answer) })},
		{1, exitBody(testExit)},
	}}
}

// runAt runs function 0 of a unit at base to its end in a new CPU of as, and
// returns what it answered and how many parts were loaded for it.
func runAt(t *testing.T, as *AddressSpace, base uint64) (answer, loaded uint64) {
	t.Helper()
	before := as.engine.Stats().PartsLoaded
	c, err := as.engine.NewCPU(as, &recorder{stopAt: testExit})
	check(t, err)
	defer c.Close()
	for r := range abi.XMM0 {
		if v := c.Reg(r); v != 0 && r != abi.Guard && r != abi.MXCSR {
			t.Errorf("a new CPU has %#x in %v", v, r)
		}
	}
	if v := c.XMM(3); v != [2]uint64{} {
		t.Errorf("a new CPU has %#x in xmm3", v)
	}
	enterIn(t, c, base, 0)
	c.SetReg(abi.R12, 12)
	c.SetXMM(3, [2]uint64{3, 33})
	wantStop(t, c.Run(context.Background()))
	return c.Reg(abi.RAX), as.engine.Stats().PartsLoaded - before
}

func wantRun(t *testing.T, what string, as *AddressSpace, base, answer, loaded uint64) {
	t.Helper()
	if a, n := runAt(t, as, base); a != answer || n != loaded {
		t.Errorf("%s answered %d and loaded %d parts, want %d and %d", what, a, n, answer, loaded)
	}
}

// TestCoreOfThread: the next CPU of an address space has the last one's parts
// and nothing else of it.
func TestCoreOfThread(t *testing.T) {
	as := spaceFor(t, newTestEngine(t, Options{}), "", testBase, answers(t.Name(), 1, 7))
	defer as.Release()
	wantRun(t, "the first", as, testBase, 7, 2)
	wantRun(t, "the second", as, testBase, 7, 0)
}

// TestCoreOfProgram: the next run of a program has the last one's parts, where it
// maps them at the same place, and nothing of its memory.
func TestCoreOfProgram(t *testing.T) {
	const other, data = testBase + 0x100000, testStack - 0x8000
	e := newTestEngine(t, Options{})
	u, v := answers("u", 1, 7), answers("v", 1, 8)
	for _, run := range []struct {
		what           string
		program        string
		base           uint64
		unit           Unit
		answer, loaded uint64
	}{
		{"the first", "p", testBase, u, 7, 2},
		{"the next", "p", testBase, u, 7, 0},
		{"one with another unit there", "p", testBase, v, 8, 2},
		{"one with the unit elsewhere", "p", other, u, 7, 2},
		{"another program", "q", testBase, u, 7, 2},
		{"the first again", "p", testBase, u, 7, 0},
	} {
		as := spaceFor(t, e, run.program, run.base, run.unit)
		if x, err := as.Load64(data); x != 0 || err != nil {
			t.Errorf("%s finds %#x, %v", run.what, x, err)
		}
		check(t, as.Store64(data, 0xbad))
		wantRun(t, run.what, as, run.base, run.answer, run.loaded)
		as.Release()
	}
}

// TestCoreOfChild: the next child of a parent has the last one's parts unless
// either mapped a unit meanwhile, whose slots the other gives out otherwise.
func TestCoreOfChild(t *testing.T) {
	const other = testBase + 0x100000
	e := newTestEngine(t, Options{})
	as := spaceFor(t, e, "", testBase, answers("u", 1, 7))
	defer as.Release()
	child := func(what string, u Unit, base, answer, loaded uint64) {
		t.Helper()
		c, err := as.Clone()
		check(t, err)
		defer c.Release()
		if u != nil {
			check(t, c.MapUnit(other, u))
		}
		wantRun(t, what, c, base, answer, loaded)
	}
	child("the first", nil, testBase, 7, 2)
	child("the second", nil, testBase, 7, 0)
	child("one that maps a unit", answers("v", 1, 8), other, 8, 2)
	child("one after that", answers("w", 1, 9), other, 9, 2)
	child("one after that, in its parent's unit", nil, testBase, 7, 2)
	check(t, as.MapUnit(other, answers("x", 1, 10)))
	child("one whose parent mapped a unit", nil, other, 10, 2)
	child("the next", nil, other, 10, 0)
}
