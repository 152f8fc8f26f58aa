package integration

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCrashes ends a small C program in every way there is, natively and
// converted: same status as a shell shows it, same output, and the runner
// says nothing of a panic.
func TestCrashes(t *testing.T) {
	img := need(t, smallImage)
	k := loadKnown(t)
	program := filepath.Join(img.rootfs, "crash")
	list, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, way := range strings.Fields(string(list)) {
		id := "crash: " + way
		ids[id] = true
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			want := capture(t, exec.Command(program, way))
			got := capture(t, exec.Command(megabin(), "run", img.ref, "/crash", way))
			k.judge(t, id, crashDiffs(want, got))
		})
	}
	k.checkIDs(t, "crash", ids)
}

// crashDiffs leaves stderr out: there the runner says what happened.
func crashDiffs(want, got outcome) (diffs []string) {
	if want.status != got.status {
		diffs = append(diffs, fmt.Sprintf("status %d, natively %d; stderr %q", got.status, want.status, clip(got.stderr)))
	}
	if d := firstDifference(want.stdout, got.stdout); d != "" {
		diffs = append(diffs, "stdout "+d)
	}
	if bytes.Contains(got.stderr, []byte("goroutine ")) {
		diffs = append(diffs, fmt.Sprintf("the runner panicked: %s", got.stderr))
	}
	return diffs
}

// capture runs a command to its end.
func capture(t testing.TB, cmd *exec.Cmd) outcome {
	t.Helper()
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	status, err := exitStatus(cmd.Run())
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return outcome{out.Bytes(), errb.Bytes(), status}
}
