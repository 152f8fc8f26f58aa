package suites

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/megabin/megabin/integration/debian"
	"github.com/megabin/megabin/integration/known"
	"github.com/megabin/megabin/integration/oracle"
)

func TestMain(m *testing.M) {
	oracle.Main()
	os.Exit(m.Run())
}

// TestSuites runs each test of each suite on both sides.
func TestSuites(t *testing.T) {
	if os.Getenv("MEGABIN_CONFORMANCE") == "" {
		t.Skip("takes an hour or more; MEGABIN_CONFORMANCE=1 runs it")
	}
	if os.Geteuid() != 0 {
		t.Skip("the native half needs root")
	}
	list, err := known.Read("known.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) { runSuite(t, s, list) })
	}
}

// convert makes the converted image, or finds it where MEGABIN_CONVERTED names
// a directory in which an earlier run left it.
func (p *prepared) convert(t *testing.T) (ref string) {
	dir := os.Getenv("MEGABIN_CONVERTED")
	kept := filepath.Join(dir, filepath.Base(filepath.Dir(p.layout)))
	if dir == "" {
		kept = filepath.Join(t.TempDir(), p.name)
	}
	ref = "oci:" + kept + ":latest"
	if _, err := os.Stat(kept); err == nil {
		return ref
	}
	convert := exec.Command(megabin(), "convert", "oci:"+p.layout+":latest", ref)
	if out, err := convert.CombinedOutput(); err != nil {
		t.Fatalf("converting: %v\n%s", err, out)
	}
	return ref
}

// score counts a suite's verdicts: of what passes natively.
type score struct {
	mu             sync.Mutex
	native, passed int
}

func runSuite(t *testing.T, s suite, list known.List) {
	dir, err := debian.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.make(t.Context(), dir, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	ref := p.convert(t)
	sc := &score{}
	t.Run("tests", func(t *testing.T) {
		for _, test := range p.tests {
			t.Run(test, func(t *testing.T) {
				t.Parallel()
				sc.judge(t, p, ref, test, list)
			})
		}
	})
	t.Logf("%s: %d of %d that pass natively", s.name, sc.passed, sc.native)
	if sc.native == 0 {
		t.Error("nothing passes natively")
	}
}

// judge runs a test on both sides and compares the verdicts.
func (sc *score) judge(t *testing.T, p *prepared, ref, test string, list known.List) {
	want := p.outcome(t, test, func(ctx context.Context) (*exec.Cmd, error) { return p.native(ctx, p.run, test) })
	got := p.outcome(t, test, func(ctx context.Context) (*exec.Cmd, error) { return p.recompiled(ctx, ref, p.run, test), nil })
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if len(want.verdicts) == 0 {
		t.Logf("no verdicts natively\n%s", differing(nil, want.out))
	}
	differ, before := false, [2]int{sc.passed, sc.native}
	for _, name := range slices.Sorted(maps.Keys(want.verdicts)) {
		if v := want.verdicts[name]; v != passed {
			if v == failed {
				t.Logf("%q fails natively", p.name+": "+name)
			}
			continue
		}
		sc.native++
		ok := got.verdicts[name] == passed
		if ok {
			sc.passed++
		}
		id := p.name + ": " + name
		cause, listed := list[id]
		switch {
		case ok && listed:
			t.Errorf("%q passes: take it out of known.txt (%s)", id, cause)
		case listed:
			t.Logf("%q fails as known: %s", id, cause)
		case !ok:
			t.Errorf("%q passes natively", id)
			differ = true
		}
	}
	t.Logf("%s: %d of %d", test, sc.passed-before[0], sc.native-before[1]) // for who stops a run
	for id, cause := range list {
		name, ours := strings.CutPrefix(id, p.name+": ")
		of, _, _ := strings.Cut(name, " ")
		if v, there := want.verdicts[name]; ours && of == test && (!there || v != passed) {
			t.Errorf("%q does not pass natively: take it out of known.txt (%s)", id, cause)
		}
	}
	if differ {
		t.Logf("status %d, natively %d\n%s", got.status, want.status, differing(want.out, got.out))
	}
}

// outcome is how a test ended.
type outcome struct {
	status   int // 128+n after signal n
	out      []byte
	verdicts verdicts
}

// outcome runs a test, for as long as it may take.
func (p *prepared) outcome(t *testing.T, test string, command func(context.Context) (*exec.Cmd, error)) outcome {
	limit := p.limit
	if limit == 0 {
		limit = 5 * time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd, err := command(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var out bounded
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second
	status, err := exitStatus(cmd.Run())
	switch {
	case ctx.Err() != nil:
		fmt.Fprintf(&out, "\nstill running after %v\n", limit)
		status = 128 + int(syscall.SIGKILL)
	case err != nil:
		t.Fatal(err)
	case oracle.Failed(status, out.Bytes()):
		t.Fatal(out.String())
	}
	return outcome{status, out.Bytes(), p.read(test, status, out.Bytes())}
}

// bounded keeps the first megabytes of an output.
type bounded struct{ bytes.Buffer }

const mostOutput = 16 << 20

func (b *bounded) Write(p []byte) (int, error) {
	if room := mostOutput - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// exitStatus follows the shell's convention; err is for what could not be run.
func exitStatus(err error) (int, error) {
	var ee *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrWaitDelay):
		return 0, nil
	case !errors.As(err, &ee):
		return 0, err
	}
	if ws, ok := ee.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return ee.ExitCode(), nil
}

// differing shows the end of got from shortly before it differs from want.
func differing(want, got []byte) string {
	const before, most = 400, 4000
	i := 0
	for i < len(want) && i < len(got) && want[i] == got[i] {
		i++
	}
	got = got[max(0, i-before):]
	if len(got) > most {
		got = append(append(got[:most/2:most/2], "\n[…]\n"...), got[len(got)-most/2:]...)
	}
	return strings.ToValidUTF8(string(got), "?")
}
