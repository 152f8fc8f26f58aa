package integration

import (
	"strings"
	"testing"

	"github.com/megabin/megabin/integration/known"
)

// differences are what known.txt allows.
type differences known.List

// loadKnown reads known.txt or ends the test.
func loadKnown(t testing.TB) differences {
	return differences(need(t, func() (known.List, error) { return known.Read("known.txt") }))
}

// checkIDs fails for each entry of a file's cases that no case has.
func (k differences) checkIDs(t *testing.T, file string, ids map[string]bool) {
	t.Helper()
	for id := range k {
		if strings.HasPrefix(id, file+": ") && !ids[id] {
			t.Errorf("known.txt: there is no case %q", id)
		}
	}
}

// judge ends a case: differences fail it unless they are known, and a known
// one must still differ.
func (k differences) judge(t *testing.T, id string, diffs []string) {
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
