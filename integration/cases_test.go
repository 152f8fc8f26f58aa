package integration

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/megabin/megabin/integration/cases"
)

func readCases(t testing.TB) []cases.Case {
	t.Helper()
	cs, err := cases.ReadDir("testdata/cases")
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

// TestPrograms runs each case natively and converted: same stdout, stderr,
// exit status and files.
func TestPrograms(t *testing.T) {
	needRoot(t)
	compareAll(t, native(t), recompiled(t), loadKnown(t))
}

// TestCasesAreDeterministic runs each case natively twice: a case that does
// not agree with itself needs a filter.
func TestCasesAreDeterministic(t *testing.T) {
	needRoot(t)
	compareAll(t, native(t), native(t), nil)
}

func compareAll(t *testing.T, want, got side, k differences) {
	byFile := map[string][]cases.Case{}
	var files []string
	for _, c := range readCases(t) {
		if byFile[c.File] == nil {
			files = append(files, c.File)
		}
		byFile[c.File] = append(byFile[c.File], c)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) { compareFile(t, file, byFile[file], want, got, k) })
	}
}

func compareFile(t *testing.T, file string, cs []cases.Case, want, got side, k differences) {
	ids := map[string]bool{}
	for _, c := range cs {
		ids[c.ID()] = true
		t.Run(c.ID(), func(t *testing.T) {
			t.Parallel()
			k.judge(t, c.ID(), compare(t, c, want, got))
		})
	}
	k.checkIDs(t, file, ids)
}

// compare runs a case on both sides and says what differs.
func compare(t testing.TB, c cases.Case, want, got side) (diffs []string) {
	wantSteps, wantTree := want.runCase(t, c)
	gotSteps, gotTree := got.runCase(t, c)
	for i, s := range c.Steps {
		where := fmt.Sprintf("%s.txt:%d: $ %s\n", c.File, s.Line, s.Text)
		w, g := wantSteps[i], gotSteps[i]
		if w.status != g.status {
			diffs = append(diffs, fmt.Sprintf("%sstatus %d, natively %d; stderr %q", where, g.status, w.status, clip(g.stderr)))
		}
		if d := firstDifference(w.stdout, g.stdout); d != "" {
			diffs = append(diffs, where+"stdout "+d)
		}
		if d := firstDifference(w.stderr, g.stderr); d != "" {
			diffs = append(diffs, where+"stderr "+d)
		}
	}
	if d := firstDifference([]byte(wantTree), []byte(gotTree)); d != "" {
		diffs = append(diffs, "files: "+d)
	}
	return diffs
}

// firstDifference shows the first line in which two outputs differ.
func firstDifference(want, got []byte) string {
	if bytes.Equal(want, got) {
		return ""
	}
	w, g := bytes.SplitAfter(want, []byte("\n")), bytes.SplitAfter(got, []byte("\n"))
	i := 0
	for i < len(w) && i < len(g) && bytes.Equal(w[i], g[i]) {
		i++
	}
	return fmt.Sprintf("differs at line %d (%d bytes, natively %d):\n  got      %s\n  natively %s",
		i+1, len(got), len(want), line(g, i), line(w, i))
}

func line(lines [][]byte, i int) string {
	if i >= len(lines) {
		return "(end)"
	}
	return fmt.Sprintf("%q", clip(lines[i]))
}

func clip(b []byte) string {
	const most = 300
	if len(b) > most {
		return strings.ToValidUTF8(string(b[:most]), "?") + "…"
	}
	return string(b)
}
