package difftest

import (
	"strings"
)

// Case is one form of an instruction and how to test it.
type Case struct {
	Asm string // in Intel syntax; memory operands at rbx, rsi or rdi
	// Undef gives the flags that the SDM leaves undefined after running from in.
	Undef func(in *State) uint64
	// Prep adjusts a random state to the instruction.
	Prep func(r Random, s *State)
	Mask Mask
	// Fix evens out a documented difference.
	Fix func(got, want *State)
}

// Name is the case's name in test output.
func (c *Case) Name() string { return strings.ReplaceAll(c.Asm, "; ", ";") }

// undef is an Undef that does not depend on the state.
func undef(flags uint64) func(*State) uint64 { return func(*State) uint64 { return flags } }

// group makes cases of templates: lines of assembler text, in which words
// are replaced by each of their alternatives in turn.
type group struct {
	lines string // one form a line; {op} and other words in braces are replaced
	words map[string]string
	undef func(*State) uint64
	prep  func(Random, *State)
	mask  Mask
	fix   func(got, want *State)
}

// expand makes the cases of all groups.
func expand(groups []group) []Case {
	var cases []Case
	for _, g := range groups {
		for line := range strings.Lines(g.lines) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			for _, asm := range substitute(line, g.words) {
				cases = append(cases, Case{Asm: asm, Undef: g.undef, Prep: g.prep, Mask: g.mask, Fix: g.fix})
			}
		}
	}
	return cases
}

// substitute replaces the first word in braces that it finds by each
// alternative, and then the rest.
func substitute(line string, words map[string]string) []string {
	i := strings.IndexByte(line, '{')
	if i < 0 {
		return []string{line}
	}
	j := i + strings.IndexByte(line[i:], '}')
	word := line[i : j+1]
	var out []string
	for _, w := range strings.Fields(words[word[1:len(word)-1]]) {
		out = append(out, substitute(strings.ReplaceAll(line, word, w), words)...)
	}
	return out
}
