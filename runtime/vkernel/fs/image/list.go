package image

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// list is a tree in memory.
type list struct {
	entries []Entry
	names   []int     // of each file
	below   [][]child // of each directory, ascending by name
}

type child struct {
	name string
	i    int
}

// newList checks entries.
func newList(entries []Entry) (*list, error) {
	l := &list{entries: entries, names: make([]int, len(entries)), below: make([][]child, len(entries))}
	for i := range entries {
		if err := l.add(i); err != nil {
			return nil, fmt.Errorf("image: entry %d (%.100q): %w", i, entries[i].Name, err)
		}
	}
	for _, list := range l.below {
		slices.SortFunc(list, func(a, b child) int { return strings.Compare(a.name, b.name) })
	}
	return l, nil
}

func (l *list) isDir(i int) bool { return l.entries[i].Mode&unix.S_IFMT == unix.S_IFDIR }

func (l *list) add(i int) error {
	e := &l.entries[i]
	if e.First < 0 || e.First > i || l.entries[e.First].First != e.First {
		return fmt.Errorf("bad first name %d", e.First)
	}
	if e.First != i && l.isDir(e.First) {
		return fmt.Errorf("second name of a directory")
	}
	l.names[e.First]++
	isDir := l.isDir(e.First)
	if isDir {
		l.names[i]++
	}
	if i == 0 {
		return nil
	}
	if e.Parent < 0 || e.Parent >= i || l.entries[e.Parent].First != e.Parent || !l.isDir(e.Parent) {
		return fmt.Errorf("bad directory %d", e.Parent)
	}
	if e.Name == "" || e.Name == "." || e.Name == ".." || strings.ContainsAny(e.Name, "/\x00") {
		return fmt.Errorf("bad name")
	}
	l.below[e.Parent] = append(l.below[e.Parent], child{e.Name, i})
	if isDir {
		l.names[e.Parent]++
	}
	return nil
}

func (l *list) len() int                { return len(l.entries) }
func (l *list) first(i int) int         { return l.entries[i].First }
func (l *list) file(i int) (Entry, int) { return l.entries[i], l.names[i] }
func (l *list) size(i int) (mode uint32, bytes int64) {
	e := &l.entries[i]
	if e.Mode&unix.S_IFMT == unix.S_IFLNK {
		return e.Mode, int64(len(e.Target))
	}
	return e.Mode, e.Size
}

func (l *list) children(dir int) int { return len(l.below[dir]) }

func (l *list) child(dir, k int) (string, int) {
	c := l.below[dir][k]
	return c.name, c.i
}

func (l *list) lookup(dir int, name string) (int, bool) {
	k, ok := slices.BinarySearchFunc(l.below[dir], name, func(c child, name string) int { return strings.Compare(c.name, name) })
	if !ok {
		return 0, false
	}
	return l.below[dir][k].i, true
}
