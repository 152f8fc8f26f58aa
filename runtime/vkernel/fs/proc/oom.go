package proc

import (
	"bytes"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// Bounds of oom_score_adj and of its older form, oom_adj, whose lowest value also
// has another name, uapi/linux/oom.h.
const (
	oomScoreAdjMax = 1000
	oomAdjMax      = 15
	oomDisable     = -17
)

func readOOMScoreAdj(_ *fs, t Task) []byte { return fmt.Appendln(nil, t.OOMScoreAdj()) }

func writeOOMScoreAdj(t Task, p []byte) error {
	n, err := integer(p)
	if err != nil || n < -oomScoreAdjMax || n > oomScoreAdjMax {
		return unix.EINVAL
	}
	return t.SetOOMScoreAdj(n, false)
}

func readOOMAdj(_ *fs, t Task) []byte {
	n := t.OOMScoreAdj()
	if n == oomScoreAdjMax {
		return fmt.Appendln(nil, oomAdjMax)
	}
	return fmt.Appendln(nil, n*-oomDisable/oomScoreAdjMax)
}

func writeOOMAdj(t Task, p []byte) error {
	n, err := integer(p)
	switch {
	case err != nil || n < oomDisable || n > oomAdjMax:
		return unix.EINVAL
	case n == oomAdjMax:
		return t.SetOOMScoreAdj(oomScoreAdjMax, true)
	}
	return t.SetOOMScoreAdj(n*oomScoreAdjMax/-oomDisable, true)
}

// integer reads what the kernel's kstrtoint does.
func integer(p []byte) (int, error) {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(p)), 0, 32)
	return int(n), err
}
