package tarfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/wasmenc"
)

// Flat is a merged tree of which no more is decoded than is asked for. A name has the
// number that it has in Tree.Nodes, 0 is the root.
//
// It is one byte string: a magic number; how many names there are (u32), and the length of the texts (u32); a record for each
// name; for each directory in their order the names in it, ascending (u32 each); the texts; the BLAKE3 of
// all before. All numbers are little-endian.
type Flat struct {
	whole                    []byte
	records, children, texts []byte
}

const flatMagic = "megabin tree 1\n\n"

// record is a name. Fields have the order that they have in the byte string.
type record struct {
	blob              blob.ID
	size, sec, offset uint64
	name              text
	firstChild, count uint32 // of a directory
	link, xattrs      text
	mode, uid, gid    uint32
	nsec              uint32
	major, minor      uint32
	layer, kind       uint32
	first             uint32 // name of the same file
	names             uint32 // of the file; of a directory 2 and one for each directory in it
}

// text is a place among the texts.
type text struct{ off, len uint32 }

const (
	recordSize   = blob.Size + 3*8 + 18*4
	nameInRecord = blob.Size + 3*8
)

var le = binary.LittleEndian

// wide and narrow are the fields after the hash, of 8 and of 4 bytes.
func (r *record) wide() [3]*uint64 { return [...]*uint64{&r.size, &r.sec, &r.offset} }

func (r *record) narrow() [18]*uint32 {
	return [...]*uint32{
		&r.name.off, &r.name.len, &r.firstChild, &r.count, &r.link.off, &r.link.len, &r.xattrs.off, &r.xattrs.len,
		&r.mode, &r.uid, &r.gid, &r.nsec, &r.major, &r.minor, &r.layer, &r.kind, &r.first, &r.names,
	}
}

func (r *record) append(b []byte) []byte {
	b = append(b, r.blob[:]...)
	for _, v := range r.wide() {
		b = le.AppendUint64(b, *v)
	}
	for _, v := range r.narrow() {
		b = le.AppendUint32(b, *v)
	}
	return b
}

func (r *record) read(b []byte) {
	b = b[copy(r.blob[:], b):]
	for _, v := range r.wide() {
		*v, b = le.Uint64(b), b[8:]
	}
	for _, v := range r.narrow() {
		*v, b = le.Uint32(b), b[4:]
	}
}

const flatHead = len(flatMagic) + 4 + 4

var errFlat = errors.New("merged tree is damaged")

// Flat is t as a byte string.
func (t *Tree) Flat() *Flat {
	f, err := openFlat(t.encodeFlat())
	if err != nil {
		panic("BUG: tarfs: " + err.Error())
	}
	return f
}

func (t *Tree) encodeFlat() []byte {
	below := make([][]uint32, len(t.Nodes))
	names := make([]uint32, len(t.Nodes))
	for i, n := range t.Nodes {
		names[n.First]++
		if i == 0 {
			continue
		}
		below[n.Parent] = append(below[n.Parent], uint32(i))
		if n.Entry.Kind == Directory {
			names[n.Parent]++
		}
	}
	b := append([]byte(flatMagic), make([]byte, 8)...)
	var texts []byte
	add := func(s string) text {
		texts = append(texts, s...)
		return text{uint32(len(texts) - len(s)), uint32(len(s))}
	}
	next := uint32(0)
	for i := range t.Nodes {
		n, e := &t.Nodes[i], t.Nodes[i].Entry
		if e.Kind == Directory {
			names[i]++
		}
		r := record{
			blob: e.Blob, size: uint64(e.Size), sec: uint64(e.Sec), offset: uint64(e.Offset),
			name: add(n.Name), link: add(e.Linkname), xattrs: add(string(appendXattrs(nil, e.Xattrs))),
			mode: e.Mode, uid: e.UID, gid: e.GID, nsec: e.Nsec, major: e.Major, minor: e.Minor,
			layer: uint32(n.Layer), kind: uint32(e.Kind), first: uint32(n.First), names: names[n.First],
			firstChild: next, count: uint32(len(below[i])),
		}
		next += r.count
		b = r.append(b)
	}
	for _, c := range slices.Concat(below...) {
		b = le.AppendUint32(b, c)
	}
	le.PutUint32(b[len(flatMagic):], uint32(len(t.Nodes)))
	le.PutUint32(b[len(flatMagic)+4:], uint32(len(texts)))
	b = append(b, texts...)
	sum := blob.Hash(b)
	return append(b, sum[:]...)
}

func appendXattrs(b []byte, list []Xattr) []byte {
	for _, x := range list {
		b = wasmenc.AppendName(wasmenc.AppendName(b, x.Name), x.Value)
	}
	return b
}

// openFlat checks b's hash, and so that it is what encodeFlat made.
func openFlat(b []byte) (*Flat, error) {
	end := len(b) - blob.Size
	if end < flatHead || !bytes.HasPrefix(b, []byte(flatMagic)) || blob.Hash(b[:end]) != blob.ID(b[end:]) {
		return nil, errFlat
	}
	n, texts := int(le.Uint32(b[len(flatMagic):])), int(le.Uint32(b[len(flatMagic)+4:]))
	if n == 0 || end != flatHead+n*recordSize+(n-1)*4+texts {
		return nil, errFlat
	}
	f := &Flat{whole: b}
	b = b[flatHead:end]
	f.records, f.children, f.texts = b[:n*recordSize], b[n*recordSize:len(b)-texts], b[len(b)-texts:]
	return f, nil
}

// Len is the number of names.
func (f *Flat) Len() int { return len(f.records) / recordSize }

func (f *Flat) record(i int) (r record) {
	r.read(f.records[i*recordSize:])
	return r
}

func (f *Flat) text(t text) []byte { return f.texts[t.off:][:t.len] }

// name is the last component of name i.
func (f *Flat) name(i int) []byte {
	b := f.records[i*recordSize+nameInRecord:]
	return f.text(text{le.Uint32(b), le.Uint32(b[4:])})
}

// FlatNode is a name and its file.
type FlatNode struct {
	Entry        // its Name is the last component
	Layer    int // as in Node
	First    int // as in Node
	Names    int // how many the file has; of a directory 2 and one for each directory in it
	Children int // of a directory
}

// Node returns name i.
func (f *Flat) Node(i int) FlatNode {
	r := f.record(i)
	n := FlatNode{Layer: int(int32(r.layer)), First: int(r.first), Names: int(r.names), Children: int(r.count)}
	n.Entry = Entry{
		Name: string(f.text(r.name)), Kind: Kind(r.kind), Mode: r.mode, UID: r.uid, GID: r.gid, Sec: int64(r.sec), Nsec: r.nsec,
		Size: int64(r.size), Linkname: string(f.text(r.link)), Major: r.major, Minor: r.minor, Blob: r.blob, Offset: int64(r.offset),
	}
	for x := wasmenc.NewReader(f.text(r.xattrs)); x.Len() > 0; {
		n.Xattrs = append(n.Xattrs, Xattr{string(x.Vector()), string(x.Vector())})
	}
	return n
}

// First is what Node says.
func (f *Flat) First(i int) int { return int(f.record(i).first) }

// Name is what Node says.
func (f *Flat) Name(i int) string { return string(f.name(i)) }

// Size is the mode that Node says, and the length of the content or of what a symlink holds, in bytes.
func (f *Flat) Size(i int) (mode uint32, bytes int64) {
	r := f.record(i)
	if Kind(r.kind) == Symlink {
		return r.mode, int64(r.link.len)
	}
	return r.mode, int64(r.size)
}

// Child returns child k of directory dir, in the order of their names.
// Precondition: 0 ≤ k < Children.
func (f *Flat) Child(dir, k int) int { return f.child(f.record(dir), k) }

func (f *Flat) child(dir record, k int) int {
	return int(le.Uint32(f.children[4*(int(dir.firstChild)+k):]))
}

// Paths are the absolute paths of all names.
func (f *Flat) Paths() []string {
	paths := make([]string, f.Len())
	paths[0] = "/"
	for i := range paths {
		for k := range f.Node(i).Children {
			c := f.Child(i, k)
			paths[c] = path.Join(paths[i], string(f.name(c)))
		}
	}
	return paths
}

// Lookup returns the child of directory dir with a name.
func (f *Flat) Lookup(dir int, name string) (i int, ok bool) {
	d := f.record(dir)
	k := sort.Search(int(d.count), func(k int) bool { return string(f.name(f.child(d, k))) >= name })
	if k == int(d.count) || string(f.name(f.child(d, k))) != name {
		return 0, false
	}
	return f.child(d, k), true
}

// Find returns what a relative path without symlinks leads to.
func (f *Flat) Find(name string) (i int, ok bool) {
	for name := range strings.SplitSeq(name, "/") {
		if i, ok = f.Lookup(i, name); !ok {
			return 0, false
		}
	}
	return i, true
}

// content returns the file of a layer whose content has a hash and lies in the layer's tar stream.
func (f *Flat) content(layer int, id blob.ID) (*Entry, bool) {
	for i := range f.Len() {
		// The hash is first in a record.
		if bytes.Equal(f.records[i*recordSize:][:blob.Size], id[:]) {
			if n := f.Node(i); n.Layer == layer && n.Kind == Regular && !n.isSparse() {
				return &n.Entry, true
			}
		}
	}
	return nil, false
}

// Tree returns the merged tree that PutTree kept; nil if there is none, or it is damaged.
func (s *Store) Tree(key blob.ID) *Flat {
	file, err := os.Open(s.treePath(key))
	if err != nil {
		return nil
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return nil
	}
	// It stays mapped, for nobody says when a file system is not used any more.
	b, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	f, err := openFlat(b)
	if err != nil || !s.hasSparse(f) {
		unix.Munmap(b)
		return nil
	}
	return f
}

// hasSparse tells whether the store has the contents that are in no tar stream.
func (s *Store) hasSparse(f *Flat) bool {
	for i := range f.Len() {
		r := f.record(i)
		if e := (Entry{Kind: Kind(r.kind), Offset: int64(r.offset)}); e.isSparse() && !s.has(r.blob, int64(r.size)) {
			return false
		}
	}
	return true
}

// PutTree keeps a merged tree by a key.
func (s *Store) PutTree(key blob.ID, f *Flat) error { return s.writeFile(s.treePath(key), f.whole) }

func (s *Store) treePath(key blob.ID) string { return filepath.Join(s.dir, "trees", key.String()) }
