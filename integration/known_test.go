package integration

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// known maps the ID of a case that is allowed to differ to the cause.
type known map[string]string

// loadKnown reads known.txt or ends the test.
func loadKnown(t testing.TB) known {
	return need(t, func() (known, error) { return readKnown("known.txt") })
}

// readKnown reads known.txt: a cause as a comment line, then the IDs it
// explains, one per line.
func readKnown(path string) (known, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	k, cause := known{}, ""
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		switch {
		case line == "":
			cause = ""
		case strings.HasPrefix(line, "#"):
			cause = strings.TrimSpace(strings.TrimLeft(line, "# "))
		case cause == "":
			return nil, fmt.Errorf("%s:%d: %q has no cause above it", path, n, line)
		default:
			k[line] = cause
		}
	}
	return k, sc.Err()
}

// checkIDs fails for each entry of a file's cases that no case has.
func (k known) checkIDs(t *testing.T, file string, ids map[string]bool) {
	t.Helper()
	for id := range k {
		if strings.HasPrefix(id, file+": ") && !ids[id] {
			t.Errorf("known.txt: there is no case %q", id)
		}
	}
}

// judge ends a case: differences fail it unless they are known, and a known
// one must still differ.
func (k known) judge(t *testing.T, id string, diffs []string) {
	t.Helper()
	cause, listed := k[id]
	switch {
	case listed && len(diffs) == 0:
		t.Errorf("%q passes: take it out of known.txt (%s)", id, cause)
	case listed:
		t.Logf("differs as known: %s", cause)
	default:
		for _, d := range diffs {
			t.Error(d)
		}
	}
}
