package difftest

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// more multiplies the number of states per case.
var more = flag.Int("more", 1, "run `n` times as many states")

// native is the runner that all tests share.
var native *Native

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "difftest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if native, err = StartNative(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer native.Close()
	return m.Run()
}

// assemble is Assemble for snippets that must be right.
func assemble(t *testing.T, snippets []string) [][]byte {
	t.Helper()
	code, err := Assemble(t.TempDir(), snippets)
	if err != nil {
		t.Fatal(err)
	}
	return code
}
