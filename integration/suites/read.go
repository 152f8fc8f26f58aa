package suites

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// verdict is what a suite says of a test.
type verdict int

const (
	failed verdict = iota
	passed
	skipped
)

// verdicts are those of one run of a test: of itself or of its parts, by name.
type verdicts map[string]verdict

// reader reads the verdicts of a finished test from its status, 128+n after
// signal n, and its output.
type reader func(test string, status int, out []byte) verdicts

// statusSkipped is automake's exit status for a test that does not apply.
const statusSkipped = 77

// byStatus reads automake's convention: one verdict, in the exit status.
func byStatus(test string, status int, _ []byte) verdicts {
	switch status {
	case 0:
		return verdicts{test: passed}
	case statusSkipped:
		return verdicts{test: skipped}
	}
	return verdicts{test: failed}
}

// words are the verdicts that suites print, in lower case.
var words = map[string]verdict{
	"pass": passed, "ok": passed, "expected failure": passed,
	"skip": skipped, "skipped": skipped, "untested": skipped, "todo": skipped,
}

// byLine reads lines that match a pattern with groups called name and verdict.
// A name that comes again is told apart by a number.
func byLine(pattern string) reader {
	re := regexp.MustCompile(pattern)
	name, word := re.SubexpIndex("name"), re.SubexpIndex("verdict")
	return func(test string, _ int, out []byte) verdicts {
		all := verdicts{}
		seen := map[string]int{}
		for line := range bytes.Lines(out) {
			m := re.FindSubmatch(bytes.TrimRight(line, "\r\n"))
			if m == nil {
				continue
			}
			id := test + " " + strings.ToValidUTF8(string(m[name]), "?")
			if seen[id]++; seen[id] > 1 {
				id = fmt.Sprintf("%s (%d)", id, seen[id])
			}
			all[id] = words[strings.ToLower(string(m[word]))]
		}
		return all
	}
}

// tapLine is one line of the Test Anything Protocol, https://testanything.org.
var tapLine = regexp.MustCompile(`^(not )?ok (\d+)[^#]*(?:# *(?i:(skip|todo))\b)?`)

// byTAP reads TAP; tests are named by their numbers.
func byTAP(test string, _ int, out []byte) verdicts {
	all := verdicts{}
	for line := range bytes.Lines(out) {
		m := tapLine.FindSubmatch(line)
		if m == nil {
			continue
		}
		v := passed
		switch {
		case len(m[3]) > 0:
			v = skipped
		case len(m[1]) > 0:
			v = failed
		}
		all[test+" "+string(m[2])] = v
	}
	return all
}

// unittestStart and unittestEnd are the two ends of what Python's unittest
// prints verbosely of a test; a documentation string or output may come between.
var (
	unittestStart = regexp.MustCompile(`^\w+ \((?:test\.)?((?:\w+\.)+\w+)\)`)
	unittestEnd   = regexp.MustCompile(`(?:^|\.\.\. .*?)(ok|FAIL|ERROR|skipped|expected failure)(?: ['"].*)?$`)
)

// byUnittest reads the verdicts of a module of CPython's tests.
func byUnittest(test string, _ int, out []byte) verdicts {
	all := verdicts{}
	name := ""
	for line := range bytes.Lines(out) {
		line = bytes.TrimRight(line, "\n")
		if m := unittestStart.FindSubmatch(line); m != nil {
			name = test + " " + strings.TrimPrefix(string(m[1]), test+".")
		}
		if m := unittestEnd.FindSubmatch(line); m != nil && name != "" {
			all[name] = words[strings.ToLower(string(m[1]))]
			name = ""
		}
	}
	return all
}
