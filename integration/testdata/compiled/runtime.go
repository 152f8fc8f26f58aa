// Program runtime uses what Go's runtime does in its own way: stacks that grow
// and move, goroutines, recovered faults, signals, timers, reflection, collection.
package main

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"os/exec"
	"os/signal"
	"reflect"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type shape interface{ area() float64 }
type square struct{ side float64 }
type circle struct{ r float64 }

func (s square) area() float64  { return s.side * s.side }
func (c *circle) area() float64 { return math.Pi * c.r * c.r }

// Named is called by reflection alone.
func (s square) Named(prefix string, n int) (string, error) {
	if n < 0 {
		return "", errors.New("negative")
	}
	return strings.Repeat(prefix, n), nil
}

func main() {
	if len(os.Args) > 1 {
		fmt.Println("child:", strings.Join(os.Args[1:], " "))
		os.Exit(7)
	}
	workers()
	faults()
	fmt.Println("deep", deep(200000, [64]byte{1}))
	dynamic()
	collection()
	signals()
	timers()
	spins()
	child()
	results()
}

func workers() {
	jobs, sums := make(chan int), make(chan int, 4)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			sum := 0
			for j := range jobs {
				sum += j * j
			}
			sums <- sum
		}()
	}
	for i := range 1000 {
		jobs <- i
	}
	close(jobs)
	go func() { wg.Wait(); close(sums) }()
	total := 0
	for s := range sums {
		total += s
	}
	fmt.Println("workers", total)
	var mu sync.Mutex
	var n atomic.Int64
	counts := map[string]int{}
	for i := range 100 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			n.Add(int64(i))
			mu.Lock()
			defer mu.Unlock()
			counts[fmt.Sprint(i%7)]++
			runtime.Gosched()
		}()
	}
	wg.Wait()
	keys := make([]string, 0)
	for k, v := range counts {
		keys = append(keys, fmt.Sprintf("%s=%d", k, v))
	}
	sort.Strings(keys)
	fmt.Println(n.Load(), keys)
}

func try(name string, f func()) {
	defer func() {
		r := recover()
		_, isRuntime := r.(runtime.Error)
		fmt.Println(name, r, isRuntime)
	}()
	defer func() { fmt.Print("deferred ") }()
	f()
}

func faults() {
	var p *square
	var m map[string]int
	zero, list := len(os.Args)-1, []int{1, 2, 3}
	try("nil", func() { fmt.Println(p.side) })
	try("divide", func() { fmt.Println(1 / zero) })
	try("index", func() { fmt.Println(list[zero+3]) })
	try("map", func() { m["x"] = 1 })
	try("type", func() { fmt.Println(any(list).(string)) })
	try("nested", func() {
		defer func() { panic(fmt.Sprint("again after ", recover())) }()
		panic("first")
	})
	try("none", func() {})
}

func deep(n int, pad [64]byte) int {
	if n == 0 {
		return int(pad[0])
	}
	pad[n%64]++
	return deep(n-1, pad) + int(pad[0]&1)
}

func dynamic() {
	for _, s := range []shape{square{2}, &circle{1}} {
		fmt.Printf("%T %.6f\n", s, s.area())
	}
	v := reflect.ValueOf(square{1})
	for _, n := range []int{3, -1} {
		out := v.MethodByName("Named").Call([]reflect.Value{reflect.ValueOf("ab"), reflect.ValueOf(n)})
		fmt.Println(out[0], out[1])
	}
	add := reflect.MakeFunc(reflect.TypeOf(func(int, float64) float64 { return 0 }), func(args []reflect.Value) []reflect.Value {
		return []reflect.Value{reflect.ValueOf(float64(args[0].Int()) + args[1].Float())}
	})
	fmt.Println(add.Interface().(func(int, float64) float64)(40, 2.5))
}

func collection() {
	debug.SetGCPercent(5)
	var keep [][]byte
	for i := range 20000 {
		b := make([]byte, 100+i%500)
		b[0] = byte(i)
		if i%100 == 0 {
			keep = append(keep, b)
		}
	}
	runtime.GC()
	sum := 0
	for _, b := range keep {
		sum += int(b[0]) + len(b)
	}
	fmt.Println("collected", sum)
}

func signals() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	for range 3 {
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		fmt.Println(<-c)
	}
}

func timers() {
	t := time.NewTicker(2 * time.Millisecond)
	defer t.Stop()
	n := 0
	after := time.After(20 * time.Second)
	for n < 5 {
		select {
		case <-t.C:
			n++
		case <-after:
			fmt.Println("late")
			return
		}
	}
	fmt.Println("ticks", n)
}

// spins has goroutines that never call anything, so that the runtime has to
// preempt them by a signal.
func spins() {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var stop atomic.Bool
	done := make(chan uint32)
	go func() {
		x := uint32(1)
		for !stop.Load() {
			x ^= x << 13
			x ^= x >> 17
			x ^= x << 5
		}
		done <- x
	}()
	time.Sleep(5 * time.Millisecond)
	stop.Store(true)
	fmt.Println("stopped", <-done != 0)
}

func child() {
	cmd := exec.Command("/proc/self/exe", "a", "b")
	cmd.Env = []string{"X=1"}
	out, err := cmd.CombinedOutput()
	fmt.Printf("%q %v\n", out, err)
}

//go:noinline
func many(a, b, c, d, e, f, g, h, i, j int, x, y float64) (int, int, int, int, int, int, int, int, int, int, float64, float64) {
	return j, i, h, g, f, e, d, c, b, a, y, x
}

func results() {
	fmt.Println(many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1.5, 2.5))
	n := new(big.Int).Exp(big.NewInt(3), big.NewInt(2000), nil)
	fmt.Println(n.BitLen(), new(big.Int).Mod(n, big.NewInt(1000000007)))
	fmt.Println(math.Sqrt(2), math.FMA(2, 3, 4), math.Floor(-1.5), math.Inf(1), uint8(math.MaxInt8+1))
}
