package difftest

import (
	"regexp"
	"strings"
	"testing"
)

// unsuitable are forms that move the pointers of a snippet's world, fault, or
// have labels.
var unsuitable = regexp.MustCompile(`\b(rbx|bh|bl|ebx|rsp|sil|rsi|rdi|r15d?|r15b|rbp)\b[^\]]*$|^(std|ud2|int3|hlt|push|pop|leave|enter|movs[bwdq]$|stos|lods|cmps[bwdq]$|scas|rep|nop;|lock cmpx|cmpxchg|xlat)|:|\[0x10\]|\[rdx\]`)

// blocks are cases that can be put one after the other: all they leave is
// defined and anything will do as their input.
func blocks() []string {
	var out []string
	for _, c := range append(IntCases(), SSECases()...) {
		if c.Undef == nil && c.Prep == nil && c.Fix == nil && !unsuitable.MatchString(c.Asm) {
			out = append(out, c.Asm)
		}
	}
	return out
}

// TestSequences runs random sequences, straight and in loops with branches:
// what goes wrong between instructions rather than in one.
func TestSequences(t *testing.T) {
	from := blocks()
	t.Logf("%d forms", len(from))
	r := NewRandom(11)
	some := func() string {
		var s []string
		for range 2 + r.IntN(8) {
			s = append(s, pick(r, from))
		}
		return strings.Join(s, "; ")
	}
	var cases []Case
	for range 150 * *more {
		cases = append(cases,
			Case{Asm: some(), Mask: noExceptions},
			Case{Asm: "mov r15d, 3; 1: " + some() + "; j" + pick(r, strings.Fields(conditions)) + " 2f; " + some() + "; 2: " + some() + "; dec r15d; jne 1b", Mask: noExceptions})
	}
	testCases(t, cases, 20)
}
