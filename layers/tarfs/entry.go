// Package tarfs reads the layers of an image: the entries of a layer's tar
// stream (Walk), the file tree that a stack of layers gives (Merge), and a
// store on disk from which a layer is opened in milliseconds (Store). It follows the OCI image specification's "Image Layer Filesystem
// Changeset". It knows neither manifests nor what files mean.
package tarfs

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/megabin/megabin/layers/blob"
)

// ErrInvalid is wrapped by every error about a layer's content.
var ErrInvalid = errors.New("invalid layer")

// Kind tells what an entry does to the tree.
type Kind byte

// The kinds of entries. Hardlink, Whiteout and Opaque occur in layers only,
// not in a merged tree.
const (
	Regular Kind = iota
	Directory
	Symlink
	CharDevice
	BlockDevice
	FIFO
	Hardlink // another name for Linkname
	Whiteout // Name is not there any more
	Opaque   // what lower layers have in directory Name is not there any more
	numKinds
)

// File type bits of st_mode, see inode(7).
const (
	modeFIFO  = 0o010000
	modeChar  = 0o020000
	modeDir   = 0o040000
	modeBlock = 0o060000
	modeReg   = 0o100000
	modeLink  = 0o120000
	modePerm  = 0o007777
)

var typeBits = [numKinds]uint32{
	Regular: modeReg, Directory: modeDir, Symlink: modeLink, CharDevice: modeChar, BlockDevice: modeBlock, FIFO: modeFIFO,
}

// Entry is one entry of a layer.
type Entry struct {
	Name     string // clean, relative to the root, which is "."
	Kind     Kind
	Mode     uint32 // st_mode with its type bits; 0 for the kinds of layers only
	UID, GID uint32
	Sec      int64 // mtime, seconds since the epoch
	Nsec     uint32
	Size     int64  // of a regular file's content, bytes
	Linkname string // of a symlink as it is; of a hardlink like Name
	Major    uint32 // of a device
	Minor    uint32
	Xattrs   []Xattr // ascending by name
	// Blob and Offset are of a regular file's content and set by a Store:
	// its hash, and its place in the tar stream, as in Content.
	Blob   blob.ID
	Offset int64
}

func (e *Entry) isSparse() bool { return e.Kind == Regular && e.Offset < 0 }

// Xattr is an extended attribute.
type Xattr struct{ Name, Value string }

// Limits on what a layer may have.
const (
	maxName = 4096    // bytes, PATH_MAX
	maxFile = 1 << 36 // bytes; a sparse file can claim any size
)

// Content is the content of a regular file in a tar stream.
type Content struct {
	io.Reader
	// Offset is where the content begins in the tar stream, or -1 when it
	// does not lie there in one piece (a sparse file).
	Offset int64
}

// Walk calls visit for each entry of a tar stream, in its order. visit may
// read the content, which is empty unless the entry is a regular file, but
// not after it has returned. Walk reads r to its end, so that a reader that
// checks a digest at the end does so.
func Walk(r io.Reader, visit func(*Entry, *Content) error) error {
	in := &counter{r: r}
	if err := walk(in, visit); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, in)
	return err
}

// WalkAt is Walk for a stream of size bytes that can be read anywhere; what
// visit does not read is not read.
func WalkAt(r io.ReaderAt, size int64, visit func(*Entry, *Content) error) error {
	return walk(&seeker{counter{r: io.NewSectionReader(r, 0, size)}}, visit)
}

// stream is a tar stream that knows how far it was read.
type stream interface {
	io.Reader
	pos() int64
}

func walk(in stream, visit func(*Entry, *Content) error) error {
	tr := tar.NewReader(in)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: at byte %d of the tar stream: %w", ErrInvalid, in.pos(), err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		e, err := newEntry(h)
		if err != nil {
			return fmt.Errorf("%w: entry %.200q: %w", ErrInvalid, h.Name, err)
		}
		content := &Content{Reader: contentReader{tr, in}, Offset: in.pos()}
		if isSparse(h) {
			content.Offset = -1
		}
		if err := visit(e, content); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
}

// contentReader says where in the tar stream reading failed.
type contentReader struct {
	tr *tar.Reader
	in stream
}

func (c contentReader) Read(p []byte) (int, error) {
	n, err := c.tr.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: at byte %d of the tar stream: %w", ErrInvalid, c.in.pos(), err)
	}
	return n, err
}

// counter counts what was read. It hides other methods of the reader, so
// that archive/tar reads block by block and nothing ahead.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) pos() int64 { return c.n }

// seeker is a counter that archive/tar skips with.
type seeker struct{ counter }

func (s *seeker) Seek(off int64, whence int) (n int64, err error) {
	s.n, err = s.r.(io.Seeker).Seek(off, whence)
	return s.n, err
}

func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

var kinds = map[byte]Kind{
	tar.TypeReg:       Regular,
	tar.TypeCont:      Regular,
	tar.TypeGNUSparse: Regular,
	tar.TypeDir:       Directory,
	tar.TypeSymlink:   Symlink,
	tar.TypeChar:      CharDevice,
	tar.TypeBlock:     BlockDevice,
	tar.TypeFifo:      FIFO,
	tar.TypeLink:      Hardlink,
}

func newEntry(h *tar.Header) (*Entry, error) {
	kind, ok := kinds[h.Typeflag]
	if !ok {
		return nil, fmt.Errorf("unknown type %q", h.Typeflag)
	}
	name, err := cleanName(h.Name)
	if err != nil {
		return nil, err
	}
	const prefix, opaque = ".wh.", ".wh..wh..opq"
	dir, base := path.Split(name)
	switch {
	case base == opaque:
		return &Entry{Name: path.Clean(dir), Kind: Opaque}, nil
	case strings.HasPrefix(base, prefix):
		base = base[len(prefix):]
		if base == "" || base == "." || base == ".." {
			return nil, errors.New("whiteout of no name")
		}
		return &Entry{Name: dir + base, Kind: Whiteout}, nil
	case name == "." && kind != Directory:
		return nil, errors.New("the root is not a directory")
	}
	e := &Entry{Name: name, Kind: kind}
	return e, e.fill(h)
}

// cleanName makes a name relative to the root. A name that goes up is
// refused; an absolute one is taken from the image's root.
func cleanName(name string) (string, error) {
	if len(name) > maxName {
		return "", fmt.Errorf("name of %d bytes", len(name))
	}
	if strings.IndexByte(name, 0) >= 0 {
		return "", errors.New("name with a NUL byte")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New("name goes up with ..")
		}
	}
	return path.Clean(strings.TrimLeft(name, "/")), nil
}

func (e *Entry) fill(h *tar.Header) (err error) {
	if e.Kind == Hardlink {
		e.Linkname, err = cleanName(h.Linkname)
		return err
	}
	for _, id := range []int{h.Uid, h.Gid} {
		if id < 0 || id > math.MaxUint32 {
			return fmt.Errorf("uid or gid %d is out of range", id)
		}
	}
	for _, dev := range []int64{h.Devmajor, h.Devminor} {
		if dev < 0 || dev > math.MaxUint32 {
			return fmt.Errorf("device number %d is out of range", dev)
		}
	}
	e.Mode = typeBits[e.Kind] | uint32(h.Mode)&modePerm
	e.UID, e.GID = uint32(h.Uid), uint32(h.Gid)
	e.Sec, e.Nsec = h.ModTime.Unix(), uint32(h.ModTime.Nanosecond())
	e.Xattrs = xattrs(h)
	switch e.Kind {
	case Regular:
		if e.Size = h.Size; e.Size > maxFile {
			return fmt.Errorf("size %d is more than %d", e.Size, int64(maxFile))
		}
	case Symlink:
		if e.Linkname = h.Linkname; e.Linkname == "" || len(e.Linkname) > maxName || strings.IndexByte(e.Linkname, 0) >= 0 {
			return fmt.Errorf("symlink to %.200q", e.Linkname)
		}
	case CharDevice, BlockDevice:
		e.Major, e.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	}
	return nil
}

func xattrs(h *tar.Header) (list []Xattr) {
	for key, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok && name != "" {
			list = append(list, Xattr{name, value})
		}
	}
	slices.SortFunc(list, func(a, b Xattr) int { return strings.Compare(a.Name, b.Name) })
	return list
}
