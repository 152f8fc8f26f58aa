package machine

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// programRun runs function i of u as program "p" with a new Engine, after what
// was prefetched is there. It returns how many parts that were.
func programRun(t *testing.T, o Options, u Unit, i int) (prefetched uint64) {
	t.Helper()
	e, err := NewEngine(context.Background(), o)
	check(t, err)
	defer e.Close()
	as, err := e.NewAddressSpace("p")
	check(t, err)
	defer as.Release()
	check(t, as.MapAnon(testStack-0x10000, 0x10000, ProtRead|ProtWrite))
	check(t, as.MapUnit(testBase, u))
	e.fetcher.idle.Wait()
	prefetched = e.Stats().PartsCompiled
	c, err := e.NewCPU(as, &recorder{stopAt: testExit})
	check(t, err)
	defer c.Close()
	enterAt(t, c, i)
	wantStop(t, c.Run(context.Background()))
	return prefetched
}

// TestPrefetch: a run has the parts that the last ones used, until they were
// not used for a while.
func TestPrefetch(t *testing.T) {
	u := &testUnit{name: t.Name(), funcs: []testFunc{
		{1, asm{}.ret(func(a asm) asm { return a.i64(0) })},
		{0, exitBody(testExit)},
		{2, asm{}.ret(func(a asm) asm { return a.i64(0) })},
	}}
	o := Options{CacheDir: t.TempDir()}
	for i, want := range []uint64{0, 2} {
		if n := programRun(t, o, u, 0); n != want {
			t.Errorf("run %d had %d parts, want %d", i, n, want)
		}
	}
	programRun(t, o, u, 2)
	for i := range maxAge {
		if n := programRun(t, o, u, 2); n != 3 {
			t.Errorf("run %d of the other function had %d parts", i, n)
		}
	}
	if n := programRun(t, o, u, 2); n != 2 {
		t.Errorf("%d parts after part 1 was not used in %d runs", n, maxAge)
	}
	o.FindUnit = func(id [32]byte) (Unit, bool) { return u, id == u.ID() }
	if n := programRun(t, o, u, 2); n != 2 {
		t.Errorf("%d parts by FindUnit", n)
	}
}

// TestDamagedProgramList: whatever the file has, the program runs and the list
// is made anew.
func TestDamagedProgramList(t *testing.T) {
	u := &testUnit{name: t.Name(), funcs: []testFunc{{0, exitBody(1)}, {0, exitBody(testExit)}}}
	o := Options{CacheDir: t.TempDir()}
	programRun(t, o, u, 0)
	files, err := filepath.Glob(filepath.Join(o.CacheDir, "programs", "*"))
	check(t, err)
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	good, err := os.ReadFile(files[0])
	check(t, err)
	for _, bad := range []string{"", "\x00\xff\n", string(good[:20]), string(good[:65]) + "9999999 0\n", string(good[:65]) + "-1 0\n"} {
		check(t, os.WriteFile(files[0], []byte(bad), 0o600))
		programRun(t, o, u, 0)
	}
	if n := programRun(t, o, u, 0); n != 1 {
		t.Errorf("%d parts after damage", n)
	}
}
