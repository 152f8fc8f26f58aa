package machine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/megabin/megabin/layers/abi"
)

// bulkBody is a function of n loads, sums and stores, which take about 20
// bytes each.
func bulkBody(n, salt int) []byte {
	var a asm
	for i := range n {
		at := int32(testStack - 0x10000 + 8*(i%64))
		a = a.i32(at).i32(at).op(opI64Load, 3, 0).i64(int64(salt+i)).op(opI64Add).op(opI64Store, 3, 0)
	}
	return a.ret(func(a asm) asm { return a.i64(1) })
}

// bulkUnit has parts of 40 functions of about size bytes; function 0 calls
// the first of each part.
func bulkUnit(name string, parts, size int) *testUnit {
	u := &testUnit{name: name, funcs: []testFunc{{}, {0, exitBody(testExit)}}}
	var caller asm
	for p := range parts {
		caller = caller.push(0).crossCall(len(u.funcs)).keepRAX()
		for f := range 40 {
			u.funcs = append(u.funcs, testFunc{p + 1, bulkBody(size/20, p*1000+f)})
		}
	}
	u.funcs[0] = testFunc{0, caller.ret(func(a asm) asm { return a.i64(0) })}
	made := map[int][]byte{}
	for p := range parts + 1 {
		made[p], _, _ = u.Part(p)
	}
	u.made = made
	return u
}

// BenchmarkColdStart is engine, address space and CPU, then a program that
// touches 60 parts, compiled before into the cache directory.
func BenchmarkColdStart(b *testing.B) {
	for _, size := range []int{200, 1000} {
		b.Run(fmt.Sprintf("%d-byte-functions", size), func(b *testing.B) {
			dir := b.TempDir()
			u := bulkUnit("bulk", 60, size)
			start := time.Now()
			coldStart(b, dir, u)
			b.ReportMetric(float64(time.Since(start).Milliseconds()), "compile-ms")
			for b.Loop() {
				coldStart(b, dir, u)
			}
		})
	}
}

func coldStart(b *testing.B, dir string, u Unit) {
	e, err := NewEngine(context.Background(), Options{CacheDir: dir})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	as, err := e.NewAddressSpace("bulk")
	if err != nil {
		b.Fatal(err)
	}
	defer as.Release()
	as.MapAnon(testStack-0x10000, 0x10000, ProtRead|ProtWrite)
	as.MapUnit(testBase, u)
	c, err := e.NewCPU(as, &recorder{stopAt: testExit})
	if err != nil {
		b.Fatal(err)
	}
	enterAt(b, c, 0)
	if x := c.Run(context.Background()); !x.Stopped {
		b.Fatalf("exit %+v", x)
	}
	c.Close()
}

func BenchmarkNewEngine(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		e, err := NewEngine(context.Background(), Options{CacheDir: dir})
		if err != nil {
			b.Fatal(err)
		}
		e.Close()
	}
}

// BenchmarkProcess is an address space and a CPU that loads 60 compiled parts.
func BenchmarkProcess(b *testing.B) {
	e := newTestEngine(b, Options{})
	u := bulkUnit("bulk", 60, 200)
	for b.Loop() {
		as, err := e.NewAddressSpace("")
		if err != nil {
			b.Fatal(err)
		}
		as.MapAnon(testStack-0x10000, 0x10000, ProtRead|ProtWrite)
		as.MapUnit(testBase, u)
		c, err := e.NewCPU(as, &recorder{stopAt: testExit})
		if err != nil {
			b.Fatal(err)
		}
		enterAt(b, c, 0)
		if x := c.Run(context.Background()); !x.Stopped {
			b.Fatalf("exit %+v", x)
		}
		c.Close()
		as.Release()
	}
}

// quiet is a handler that allows n system calls.
type quiet struct{ n int }

func (q *quiet) Syscall(*CPU, uint64, [6]uint64) (uint64, bool) { q.n--; return 0, q.n <= 0 }
func (q *quiet) Poll(*CPU) bool                                 { return false }
func (q *quiet) Fault(*CPU, *Fault) (bool, bool)                { return false, false }

// BenchmarkSyscall is one system call of guest code in a loop.
func BenchmarkSyscall(b *testing.B) {
	loop := asm{}.op(opLoop, blockTypeEmpty).syscall(1).op(opDrop, opBr, 0, 0x0b, opUnreachable).function(0, 0)
	u := &testUnit{name: "loop", funcs: []testFunc{{0, loop}, {0, exitBody(testExit)}}}
	as := newTestSpace(b, newTestEngine(b, Options{}), u)
	c := newTestCPU(b, as, &quiet{b.N}, 0)
	b.ResetTimer()
	c.Run(context.Background())
}

// BenchmarkStop is a Run that ends at its first system call.
func BenchmarkStop(b *testing.B) {
	u := &testUnit{name: "stop", funcs: []testFunc{{0, exitBody(testExit)}, {0, exitBody(testExit)}}}
	as := newTestSpace(b, newTestEngine(b, Options{}), u)
	c := newTestCPU(b, as, &quiet{}, 0)
	for b.Loop() {
		c.SetReg(abi.PC, testBase+uint64(entry(0)))
		c.SetReg(abi.RSP, testStack-0x100)
		c.Run(context.Background())
	}
}

// BenchmarkDispatch is a function that leaves for the dispatcher each time.
func BenchmarkDispatch(b *testing.B) {
	u := &testUnit{name: "self", funcs: []testFunc{
		{0, asm{}.i64(testBase+0x1000).store(abi.PC).i32(0).i64(0).i64(0).i32(0).function(0, 0)},
		{0, exitBody(testExit)},
	}}
	n := 0
	h := &recorder{onPoll: func(*CPU) bool { n += pollEntries; return n >= b.N }}
	c := newTestCPU(b, newTestSpace(b, newTestEngine(b, Options{}), u), h, 0)
	b.ResetTimer()
	c.Run(context.Background())
}

// BenchmarkClone copies touched anonymous memory.
func BenchmarkClone(b *testing.B) {
	for _, mb := range []uint64{1, 5, 100} {
		b.Run(fmt.Sprintf("%dMB", mb), func(b *testing.B) {
			as := newTestSpace(b, newTestEngine(b, Options{}), nil)
			as.MapAnon(0x1000000, mb<<20, ProtRead|ProtWrite)
			for at := uint64(0); at < mb<<20; at += pageSize {
				as.Store64(0x1000000+at, at+1)
			}
			for b.Loop() {
				child, err := as.Clone()
				if err != nil {
					b.Fatal(err)
				}
				child.Release()
			}
		})
	}
}
