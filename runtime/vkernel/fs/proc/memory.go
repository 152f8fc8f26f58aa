package proc

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

// usage is what smaps tells of a mapping or of all, bytes: all of it is taken
// to be in memory, as in status, and what is private and can be written to be changed.
type usage struct {
	rss, sharedClean, sharedDirty, clean, dirty, anon uint64
}

// usage is that of one mapping.
func (m *Mapping) usage() (u usage) {
	size := m.End - m.Start
	if m.Prot == unix.PROT_NONE {
		return u
	}
	u.rss = size
	writable := m.Prot&unix.PROT_WRITE != 0
	switch {
	case m.Shared && writable:
		u.sharedDirty = size
	case m.Shared:
		u.sharedClean = size
	case writable:
		u.dirty, u.anon = size, size
	default:
		u.clean = size
	}
	return u
}

func (u *usage) add(v usage) {
	u.rss += v.rss
	u.sharedClean += v.sharedClean
	u.sharedDirty += v.sharedDirty
	u.clean += v.clean
	u.dirty += v.dirty
	u.anon += v.anon
}

// kilobytes writes lines of smaps.
func kilobytes(b *bytes.Buffer, lines []sizeLine) {
	for _, l := range lines {
		fmt.Fprintf(b, "%-16s%8d kB\n", l.name+":", l.bytes/1024)
	}
}

type sizeLine struct {
	name  string
	bytes uint64
}

// lines are those that smaps and smaps_rollup have both, in two parts: before
// and behind the parts of Pss of the latter.
func (u *usage) lines() (before, behind []sizeLine) {
	before = []sizeLine{{"Rss", u.rss}, {"Pss", u.rss}, {"Pss_Dirty", u.dirty + u.sharedDirty}}
	behind = []sizeLine{
		{"Shared_Clean", u.sharedClean}, {"Shared_Dirty", u.sharedDirty}, {"Private_Clean", u.clean}, {"Private_Dirty", u.dirty},
		{"Referenced", u.rss}, {"Anonymous", u.anon},
	}
	for _, none := range []string{
		"KSM", "LazyFree", "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb", "Private_Hugetlb", "Swap", "SwapPss", "Locked",
	} {
		behind = append(behind, sizeLine{none, 0})
	}
	return before, behind
}

func readSmaps(_ *fs, t Task) []byte {
	var b bytes.Buffer
	for _, m := range t.Maps() {
		b.WriteString(m.line())
		u := m.usage()
		before, behind := u.lines()
		kilobytes(&b, []sizeLine{{"Size", m.End - m.Start}, {"KernelPageSize", 4096}, {"MMUPageSize", 4096}})
		kilobytes(&b, before)
		kilobytes(&b, behind)
		fmt.Fprintf(&b, "%-16s%8d\n%s\n", "THPeligible:", 0, m.flags())
	}
	return b.Bytes()
}

// flags is the line VmFlags.
func (m *Mapping) flags() string {
	s := "VmFlags: "
	for _, f := range []struct {
		on   bool
		name string
	}{
		{m.Prot&unix.PROT_READ != 0, "rd"}, {m.Prot&unix.PROT_WRITE != 0, "wr"}, {m.Prot&unix.PROT_EXEC != 0, "ex"},
		{m.Shared, "sh"}, {true, "mr"}, {true, "mw"}, {true, "me"},
	} {
		if f.on {
			s += f.name + " "
		}
	}
	return s
}

func readSmapsRollup(_ *fs, t Task) []byte {
	maps := t.Maps()
	if len(maps) == 0 {
		return nil
	}
	var all usage
	for i := range maps {
		all.add(maps[i].usage())
	}
	whole := Mapping{Start: maps[0].Start, End: maps[len(maps)-1].End, Name: "[rollup]"}
	var b bytes.Buffer
	b.WriteString(whole.line())
	before, behind := all.lines()
	kilobytes(&b, before)
	kilobytes(&b, []sizeLine{{"Pss_Anon", all.anon}, {"Pss_File", all.rss - all.anon}, {"Pss_Shmem", 0}})
	kilobytes(&b, behind)
	return b.Bytes()
}
