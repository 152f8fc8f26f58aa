package machine

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/megabin/megabin/layers/abi"
)

// countedUnit counts how often a part's wasm was asked for.
type countedUnit struct {
	*testUnit
	asked *atomic.Int32
}

func (u countedUnit) Part(n int) ([]byte, []int, error) {
	u.asked.Add(1)
	return u.testUnit.Part(n)
}

// linkedRun runs a program of two parts, the second of which faults, with a new
// Engine. It returns how many parts had to be made of wasm.
func linkedRun(t *testing.T, dir string) int {
	t.Helper()
	u := countedUnit{&testUnit{name: "linked", funcs: []testFunc{
		{0, asm{}.crossCall(1).keepRAX().ret(func(a asm) asm { return a.get(lTmp) })},
		{1, asm{}.args().call(abi.NumImports+1).function(0, 0)},
		{1, asm{}.op(opUnreachable).function(0, 0)},
		{0, exitBody(testExit)},
	}}, new(atomic.Int32)}
	e, err := NewEngine(context.Background(), Options{CacheDir: dir})
	check(t, err)
	defer e.Close()
	as := spaceFor(t, e, "", testBase, u)
	defer as.Release()
	c, err := e.NewCPU(as, &recorder{stopAt: testExit})
	check(t, err)
	defer c.Close()
	enterAt(t, c, 0)
	x := c.Run(context.Background())
	if x.Fault == nil || x.Fault.Kind != ILL {
		t.Fatalf("exit %+v, %v", x, x.Err)
	}
	if want := []uint64{testBase + uint64(entry(2)), testBase + uint64(entry(1)), testBase + uint64(entry(0))}; !slices.Equal(x.Fault.Trace, want) {
		t.Errorf("trace %#x, want %#x", x.Fault.Trace, want)
	}
	return int(u.asked.Load())
}

// TestLinked: parts that are in the cache directory need no wasm; what is damaged there is compiled again. That other
// code of the same length is noticed after the host's next boot is package codefile's to test.
func TestLinked(t *testing.T) {
	dir := t.TempDir()
	for i, want := range []int{2, 0, 0} {
		if n := linkedRun(t, dir); n != want {
			t.Errorf("run %d made %d parts of wasm, want %d", i, n, want)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "parts-*", "*"))
	check(t, err)
	if len(files) != 2 {
		t.Fatalf("files %v", files)
	}
	good := map[string][]byte{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		check(t, err)
		good[name] = b
	}
	for name, b := range good {
		damages := [][]byte{nil, b[:len(b)-1]}
		if filepath.Ext(name) == ".index" {
			flipped := slices.Clone(b)
			flipped[0] ^= 1
			damages = append(damages, flipped)
		}
		for _, bad := range damages {
			for other, b := range good {
				check(t, os.WriteFile(other, b, 0o600))
			}
			check(t, os.WriteFile(name, bad, 0o600))
			if n := linkedRun(t, dir); n == 0 {
				t.Errorf("%s with %d of %d bytes was not noticed", filepath.Ext(name), len(bad), len(b))
			}
			if n := linkedRun(t, dir); n != 0 {
				t.Errorf("%d parts were not added again", n)
			}
		}
	}
}
