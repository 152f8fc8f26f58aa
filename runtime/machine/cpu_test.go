package machine

import (
	"context"
	"encoding/binary"
	"math/big"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/machine/x87"
)

// TestSharedMemory: two CPUs of one address space see each other's writes.
func TestSharedMemory(t *testing.T) {
	const word = testStack - 0x8000
	lin := int32(linear(word))
	u := &testUnit{name: t.Name(), funcs: []testFunc{
		{0, asm{}.i32(lin).i64(99).op(opI64Store, 3, 0).ret(func(a asm) asm { return a.i64(0) })},
		{0, exitBody(testExit)},
		{0, asm{}.ret(func(a asm) asm { return a.i32(lin).op(opI64Load, 3, 0) })},
	}}
	as := newTestSpace(t, newTestEngine(t, Options{}), u)
	h := &recorder{stopAt: testExit}
	writer, reader := newTestCPU(t, as, h, 0), newTestCPU(t, as, h, 2)
	wantStop(t, writer.Run(context.Background()))
	wantStop(t, reader.Run(context.Background()))
	if v := reader.Reg(abi.RAX); v != 99 {
		t.Errorf("reader has %d", v)
	}
	if v, _ := as.Load64(word); v != 99 {
		t.Errorf("memory has %d", v)
	}
}

// TestForkedCPU: a CPU in a cloned address space runs the same units, and its
// writes stay there.
func TestForkedCPU(t *testing.T) {
	const word = testStack - 0x8000
	u := &testUnit{name: t.Name(), funcs: []testFunc{
		{0, asm{}.i32(int32(linear(word))).i64(99).op(opI64Store, 3, 0).ret(func(a asm) asm { return a.i64(0) })},
		{1, exitBody(testExit)},
	}}
	e := newTestEngine(t, Options{})
	as := newTestSpace(t, e, u)
	h := &recorder{stopAt: testExit}
	parent := newTestCPU(t, as, h, 0)
	forked, err := as.Clone()
	check(t, err)
	defer forked.Release()
	child := newTestCPU(t, forked, h, 0)
	child.CopyState(parent)
	wantStop(t, child.Run(context.Background()))
	if v, _ := as.Load64(word); v != 0 {
		t.Errorf("parent has %d", v)
	}
	if v, _ := forked.Load64(word); v != 99 {
		t.Errorf("child has %d", v)
	}
	wantStop(t, parent.Run(context.Background()))
	if s := e.Stats(); s.PartsCompiled != 2 || s.PartsLoaded != 4 {
		t.Errorf("stats %+v", s)
	}
}

// TestLateUnit: while one CPU is in guest code, another maps a unit and calls it. The
// first one's table lacks its slots then, and gets them when that CPU calls it too.
func TestLateUnit(t *testing.T) {
	const lateBase = testBase + 0x100000
	first := asm{}.syscall(1).op(opDrop).i64(int64(lateBase + entry(0))).set(lRDI).push(0).indirectCall().keepRAX()
	u := &testUnit{name: "first", funcs: []testFunc{{0, first.ret(func(a asm) asm { return a.i64(0) })}}}
	late := &testUnit{name: "late", funcs: []testFunc{
		{0, asm{}.push(0).crossCall(1).keepRAX().ret(func(a asm) asm { return a.i64(0) })}, {1, exitBody(testExit)},
	}}
	as := newTestSpace(t, newTestEngine(t, Options{}), u)
	other := newTestCPU(t, as, &recorder{stopAt: testExit}, 0)
	h := &recorder{stopAt: testExit, onCall: func(c *CPU, nr uint64) {
		if nr != 1 {
			return
		}
		check(t, as.MapUnit(lateBase, late))
		other.SetReg(abi.PC, lateBase+uint64(entry(0)))
		wantStop(t, other.Run(context.Background()))
		if c.slots.Load() == other.slots.Load() {
			t.Errorf("the first CPU has %d slots already", c.slots.Load())
		}
	}}
	c := newTestCPU(t, as, h, 0)
	wantStop(t, c.Run(context.Background()))
	if got, want := c.slots.Load(), as.code.end.Load(); got != want {
		t.Errorf("table has %d slots, want %d", got, want)
	}
}

// TestRemap: a unit that comes back keeps its slots, so that loaded parts are
// good; another unit at the base gets its own.
func TestRemap(t *testing.T) {
	a := &testUnit{name: "a", funcs: []testFunc{{0, exitBody(1)}, {0, exitBody(testExit)}}}
	b := &testUnit{name: "b", funcs: []testFunc{{0, exitBody(2)}, {0, exitBody(testExit)}}}
	as := newTestSpace(t, newTestEngine(t, Options{}), a)
	h := &recorder{stopAt: testExit}
	c := newTestCPU(t, as, h, 0)
	for _, u := range []*testUnit{a, b, a, a} {
		check(t, as.MapUnit(testBase, u))
		enterAt(t, c, 0)
		wantStop(t, c.Run(context.Background()))
	}
	if got, want := h.calls, []uint64{1, testExit, 2, testExit, 1, testExit, 1, testExit}; len(got) != len(want) || got[2] != 2 || got[4] != 1 {
		t.Errorf("calls %v, want %v", got, want)
	}
	if end := as.code.end.Load(); end != 5 {
		t.Errorf("%d slots given out", end)
	}
}

// TestBrokenPart: a part that can't be loaded ends the Run with an error that
// names it.
func TestBrokenPart(t *testing.T) {
	u := &testUnit{name: t.Name(), funcs: []testFunc{{3, []byte{0, 0x0b}}, {0, exitBody(testExit)}}}
	c := newTestCPU(t, newTestSpace(t, newTestEngine(t, Options{}), u), &recorder{}, 0)
	e := c.Run(context.Background())
	if e.Err == nil || !strings.Contains(e.Err.Error(), "part 3") {
		t.Errorf("exit %+v", e)
	}
}

// TestParallelCPUs runs CPUs of several address spaces at once, which compile
// each part once.
func TestParallelCPUs(t *testing.T) {
	e := newTestEngine(t, Options{})
	u := &testUnit{name: t.Name(), funcs: []testFunc{
		{0, asm{}.push(0).crossCall(2).keepRAX().ret(func(a asm) asm { return a.get(lTmp) })},
		{0, exitBody(testExit)},
		{1, asm{}.ret(func(a asm) asm { return a.i64(7) })},
	}}
	var wg sync.WaitGroup
	for range 20 {
		c := newTestCPU(t, newTestSpace(t, e, u), &recorder{stopAt: testExit}, 0)
		wg.Go(func() {
			for range 20 {
				c.SetReg(abi.PC, testBase+uint64(entry(0)))
				c.SetReg(abi.RSP, testStack-0x100)
				if exit := c.Run(context.Background()); !exit.Stopped || c.Reg(abi.RAX) != 7 {
					t.Errorf("exit %+v, rax %d", exit, c.Reg(abi.RAX))
				}
			}
		})
	}
	wg.Wait()
	if n := e.Stats().PartsCompiled; n != 2 {
		t.Errorf("%d parts compiled", n)
	}
}

// TestNoLeak: CPUs and address spaces that were closed leave nothing behind.
func TestNoLeak(t *testing.T) {
	e := newTestEngine(t, Options{})
	u := &testUnit{name: t.Name(), funcs: []testFunc{{0, exitBody(testExit)}, {1, exitBody(testExit)}}}
	round := func(n int) {
		for range n {
			as, err := e.NewAddressSpace("")
			check(t, err)
			check(t, as.MapAnon(testStack-0x10000, 0x10000, ProtRead|ProtWrite))
			check(t, as.MapUnit(testBase, u))
			c, err := e.NewCPU(as, &recorder{stopAt: testExit})
			check(t, err)
			enterAt(t, c, 0)
			wantStop(t, c.Run(context.Background()))
			c.Close()
			as.Release()
		}
	}
	round(10)
	heap, maps := heapBytes(), mapsLines(t)
	round(1000)
	if grown := heapBytes() - heap; grown > 1<<20 {
		t.Errorf("heap grew by %d bytes over 1000 CPUs", grown)
	}
	if grown := mapsLines(t) - maps; grown > 50 {
		t.Errorf("%d mappings more", grown)
	}
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func mapsLines(t *testing.T) int {
	b, err := os.ReadFile("/proc/self/maps")
	check(t, err)
	return strings.Count(string(b), "\n")
}

// TestDivide128 compares with math/big.
func TestDivide128(t *testing.T) {
	values := []uint64{0, 1, 2, 3, 1<<63 - 1, 1 << 63, 1<<64 - 1, 1<<64 - 7, 0x123456789abcdef0}
	c, _ := run(t, &recorder{}, exitBody(testExit))
	for _, low := range values {
		for _, high := range values {
			for _, d := range values {
				checkDivide(t, c, divU128, false, low, high, d)
				checkDivide(t, c, divS128, true, low, high, d)
			}
		}
	}
}

// helperFunc is the type of helpers' rows.
type helperFunc func(c *CPU, a, b, d uint64) (uint64, uint64)

// checkDivide divides with f and with big.
func checkDivide(t *testing.T, c *CPU, f helperFunc, signed bool, low, high, d uint64) {
	t.Helper()
	number, least, most := unsigned, new(big.Int), unsigned(1<<64-1)
	if signed {
		number = func(v uint64) *big.Int { return big.NewInt(int64(v)) }
		least, most = big.NewInt(-1<<63), big.NewInt(1<<63-1)
	}
	n := new(big.Int).Lsh(number(high), 64)
	n.Add(n, unsigned(low))
	quo, rem := new(big.Int), new(big.Int)
	fault := d == 0
	if !fault {
		quo.QuoRem(n, number(d), rem)
		fault = quo.Cmp(least) < 0 || quo.Cmp(most) > 0
	}
	q, r, faulted := divide(c, f, low, high, d)
	if faulted != fault || !fault && (number(q).Cmp(quo) != 0 || number(r).Cmp(rem) != 0) {
		t.Errorf("%#x:%#x / %#x = %#x rem %#x, fault %v; want %#x rem %#x, fault %v", high, low, d, q, r, faulted, quo, rem, fault)
	}
}

func unsigned(v uint64) *big.Int { return new(big.Int).SetUint64(v) }

// divide tells whether f unwound.
func divide(c *CPU, f helperFunc, low, high, d uint64) (q, r uint64, faulted bool) {
	defer func() {
		if recover() != nil {
			faulted = c.takeExit().Fault.Kind == FPE
		}
	}()
	q, r = f(c, low, high, d)
	return q, r, false
}

// TestCPUID: what glibc reads gives a processor that is x86-64-v2 (System V
// ABI, table 3.1) and has nothing of v3.
func TestCPUID(t *testing.T) {
	max, _ := cpuid(0, 0)
	if uint32(max) < 4 {
		t.Errorf("highest leaf %d", uint32(max))
	}
	_, cd := cpuid(1, 0)
	const (
		v1 = 1<<0 | 1<<8 | 1<<15 | 1<<23 | 1<<24 | 1<<25 | 1<<26 // FPU CX8 CMOV MMX FXSR SSE SSE2
		v2 = 1<<0 | 1<<9 | 1<<13 | 1<<19 | 1<<20 | 1<<23         // SSE3 SSSE3 CX16 SSE4.1 SSE4.2 POPCNT
		v3 = 1<<12 | 1<<26 | 1<<27 | 1<<28 | 1<<29               // FMA XSAVE OSXSAVE AVX F16C
	)
	if ecx := uint32(cd); ecx&v2 != v2 || ecx&v3 != 0 {
		t.Errorf("leaf 1 ecx %#x", ecx)
	}
	if edx := cd >> 32; edx&v1 != v1 {
		t.Errorf("leaf 1 edx %#x", edx)
	}
	if _, cd := cpuid(0x80000001, 0); cd&1 == 0 {
		t.Error("no lahf_lm")
	}
	for sub, want := range []uint64{32 << 10, 32 << 10, 1 << 20, 16 << 20} {
		ab, cd := cpuid(4, uint32(sub))
		ebx, ecx := ab>>32, cd&0xffffffff
		if size := (ebx>>22 + 1) * (ebx&0xfff + 1) * (ecx + 1); size != want {
			t.Errorf("cache %d has %d bytes, want %d", sub, size, want)
		}
	}
	if ab, _ := cpuid(4, 4); ab != 0 {
		t.Error("a fifth cache")
	}
	var name []byte
	for leaf := range uint32(3) {
		ab, cd := cpuid(0x80000002+leaf, 0)
		name = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(name, ab), cd)
	}
	if !strings.HasPrefix(string(name), "Megabinary") {
		t.Errorf("brand %s", strconv.Quote(string(name)))
	}
}

// TestFXSave: what was saved comes back.
func TestFXSave(t *testing.T) {
	c, _ := run(t, &recorder{}, exitBody(testExit))
	for i := range 16 {
		c.SetXMM(i, [2]uint64{uint64(i), ^uint64(i)})
	}
	c.SetMXCSR(0x7f80)
	if _, err := c.x87.Do(nil, abi.X87SetCW, 0x27f); err != nil {
		t.Fatal(err)
	}
	var area [x87.FXSaveSize]byte
	c.SaveFX(area[:])
	d := newTestCPU(t, c.Space(), &recorder{}, 0)
	d.RestoreFX(area[:])
	if d.MXCSR() != 0x7f80 || d.XMM(5) != [2]uint64{5, ^uint64(5)} || area[160+16*3] != 3 || d.x87.CW() != 0x27f {
		t.Errorf("mxcsr %#x xmm5 %#x", d.MXCSR(), d.XMM(5))
	}
}
