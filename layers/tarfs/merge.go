package tarfs

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Tree is the file tree of a stack of layers.
type Tree struct {
	// Nodes has the root first and each directory before what is in it;
	// the names in a directory ascend.
	Nodes []Node
}

// Node is a name in a tree.
type Node struct {
	Name   string
	Parent int    // index of the directory; the root is its own
	First  int    // index of the first node that is the same file: a hardlink has First < its own index
	Layer  int    // index of the layer that the entry is from, -1 for a directory that no layer has
	Entry  *Entry // shared by hardlinks; its Name is the one of the tar entry
}

// Path is the absolute path of node i.
func (t *Tree) Path(i int) string {
	var names []string
	for ; i != 0; i = t.Nodes[i].Parent {
		names = append(names, t.Nodes[i].Name)
	}
	slices.Reverse(names)
	return "/" + strings.Join(names, "/")
}

// Merge stacks layers, the lowest first. Parents that no layer has are
// directories of mode 0755. As with containerd, a symlink in the place of a
// parent is followed, within the tree.
func Merge(layers [][]Entry) (*Tree, error) {
	m := &merger{root: newImplicit(nil, ""), first: map[*Entry]int{}}
	for i := range layers {
		m.size += len(layers[i])
	}
	for i := range layers {
		m.layer = i
		m.dirName = ""
		for j := range layers[i] {
			e := &layers[i][j]
			if err := m.apply(e); err != nil {
				return nil, fmt.Errorf("%w: layer %d: %.200q: %w", ErrInvalid, i, e.Name, err)
			}
		}
	}
	return m.flatten(), nil
}

type merger struct {
	root  *mnode
	layer int
	size  int            // entries of all layers
	first map[*Entry]int // files with several names → first node, -1: none yet
	// The directory that the last entry was in, as many follow each other.
	dirName string
	dir     *mnode
}

type mnode struct {
	name     string
	parent   *mnode
	layer    int
	entry    *Entry
	children map[string]*mnode // of a directory
}

func newImplicit(parent *mnode, name string) *mnode {
	e := &Entry{Kind: Directory, Mode: modeDir | 0o755}
	return &mnode{name: name, parent: parent, layer: -1, entry: e, children: map[string]*mnode{}}
}

func (m *merger) apply(e *Entry) error {
	if e.Name == "." {
		return m.applyRoot(e)
	}
	dirName, base := path.Split(e.Name)
	if e.Kind == Opaque {
		dirName, base = e.Name, ""
	}
	dir, err := m.directory(dirName, e.Kind != Whiteout && e.Kind != Opaque)
	if err != nil || dir == nil {
		return err
	}
	switch e.Kind {
	case Opaque:
		m.hideBelow(dir)
	case Whiteout:
		if n := dir.children[base]; n != nil {
			m.hide(n)
		}
	case Hardlink:
		return m.link(dir, base, e)
	default:
		m.put(dir, base, e)
	}
	return nil
}

func (m *merger) applyRoot(e *Entry) error {
	switch e.Kind {
	case Directory:
		m.root.entry, m.root.layer = e, m.layer
	case Opaque:
		m.hideBelow(m.root)
	default:
		return errors.New("the root is not a directory")
	}
	return nil
}

// put sets a name; a directory over a directory keeps what is in it.
func (m *merger) put(dir *mnode, name string, e *Entry) {
	old := dir.children[name]
	if old != nil && old.entry.Kind == Directory && e.Kind == Directory {
		old.entry, old.layer = e, m.layer
		return
	}
	if old != nil {
		m.dirName = ""
	}
	n := &mnode{name: name, parent: dir, layer: m.layer, entry: e}
	if e.Kind == Directory {
		n.children = map[string]*mnode{}
	}
	dir.children[name] = n
}

func (m *merger) link(dir *mnode, name string, e *Entry) error {
	targetDir, base := path.Split(e.Linkname)
	from, err := m.directory(targetDir, false)
	if err != nil {
		return err
	}
	var target *mnode
	if from != nil {
		target = from.children[base]
	}
	switch {
	case target == nil:
		return fmt.Errorf("hardlink to %.200q, which is not there", e.Linkname)
	case target.entry.Kind == Directory:
		return fmt.Errorf("hardlink to the directory %.200q", e.Linkname)
	}
	m.first[target.entry] = -1
	m.put(dir, name, target.entry)
	return nil
}

// hide removes what lower layers have at n.
func (m *merger) hide(n *mnode) {
	m.hideBelow(n)
	if n.layer < m.layer && len(n.children) == 0 {
		delete(n.parent.children, n.name)
		m.dirName = ""
	}
}

func (m *merger) hideBelow(n *mnode) {
	for _, c := range n.children {
		m.hide(c)
	}
}

// directory finds a directory by name, or makes it and its parents; without
// create it returns nil when it is not there.
func (m *merger) directory(name string, create bool) (*mnode, error) {
	if name == "" {
		return m.root, nil
	}
	if name == m.dirName {
		return m.dir, nil
	}
	dir, err := m.resolve(name, create)
	if err == nil && dir != nil {
		m.dirName, m.dir = name, dir
	}
	return dir, err
}

// resolve walks a path, following symlinks within the tree.
func (m *merger) resolve(name string, create bool) (*mnode, error) {
	const maxLinks = 40 // as Linux has, path_resolution(7)
	links := 0
	dir := m.root
	for rest := name; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		switch part {
		case "", ".":
			continue
		case "..":
			if dir.parent != nil {
				dir = dir.parent
			}
			continue
		}
		n := dir.children[part]
		if n == nil {
			if !create {
				return nil, nil
			}
			n = newImplicit(dir, part)
			dir.children[part] = n
		}
		switch n.entry.Kind {
		case Directory:
			dir = n
		case Symlink:
			if links++; links > maxLinks {
				return nil, errors.New("too many levels of symbolic links")
			}
			target := n.entry.Linkname
			if strings.HasPrefix(target, "/") {
				dir = m.root
			}
			rest = target + "/" + rest
		default:
			return nil, fmt.Errorf("parent %.200q is not a directory", part)
		}
	}
	return dir, nil
}

func (m *merger) flatten() *Tree {
	t := &Tree{Nodes: make([]Node, 0, m.size+1)}
	m.flattenNode(t, m.root, 0)
	return t
}

func (m *merger) flattenNode(t *Tree, n *mnode, parent int) {
	at := len(t.Nodes)
	first, linked := m.first[n.entry]
	switch {
	case !linked:
		first = at
	case first < 0:
		m.first[n.entry] = at
		first = at
	}
	t.Nodes = append(t.Nodes, Node{n.name, parent, first, n.layer, n.entry})
	children := slices.AppendSeq(make([]*mnode, 0, len(n.children)), maps.Values(n.children))
	slices.SortFunc(children, func(a, b *mnode) int { return strings.Compare(a.name, b.name) })
	for _, c := range children {
		m.flattenNode(t, c, at)
	}
}
