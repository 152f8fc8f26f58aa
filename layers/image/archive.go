package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// archive is the files in a tar file, found by one walk over its headers.
type archive struct {
	f     *os.File
	files map[string]section
	links map[string]string // name → name in the archive
}

type section struct{ off, size int64 }

// newArchive opens a tar file. A compressed one is decompressed into a
// temporary file first, as its pieces can't be reached otherwise.
func newArchive(name string) (*archive, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if f, err = plain(f); err != nil {
		return nil, err
	}
	a := &archive{f: f, files: map[string]section{}, links: map[string]string{}}
	if err := a.scan(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return a, nil
}

// plain returns f, or what it decompresses to; f is closed then.
func plain(f *os.File) (*os.File, error) {
	kind := sniff(bufio.NewReader(io.NewSectionReader(f, 0, 16)))
	if kind == None {
		return f, nil
	}
	defer f.Close()
	r, _, err := decompress(f)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	out, err := TempFile()
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(out, r); err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

// TempFile makes a temporary file that has no name any more, so that nothing
// is left when the process ends, however it does.
func TempFile() (*os.File, error) {
	f, err := os.CreateTemp("", "megabin-*")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

func (a *archive) scan() error {
	if _, err := a.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	info, err := a.f.Stat()
	if err != nil {
		return err
	}
	tr := tar.NewReader(a.f)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("tar: %w", err)
		}
		name := path.Clean(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			off, err := a.f.Seek(0, io.SeekCurrent)
			if err != nil {
				return err
			}
			if h.Size > info.Size()-off {
				return fmt.Errorf("%s: the archive ends in it", name)
			}
			a.files[name] = section{off, h.Size}
		case tar.TypeSymlink: // docker writes equal layers so
			a.links[name] = path.Join(path.Dir(name), h.Linkname)
		case tar.TypeLink:
			a.links[name] = path.Clean(h.Linkname)
		}
	}
}

func (a *archive) open(name string) (io.ReadCloser, int64, error) {
	name = path.Clean(name)
	for range 8 {
		if to, ok := a.links[name]; ok {
			name = to
		}
	}
	s, ok := a.files[name]
	if !ok {
		return nil, 0, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return piece{io.NewSectionReader(a.f, s.off, s.size)}, s.size, nil
}

// piece is a file of an archive, which stays open.
type piece struct{ *io.SectionReader }

func (piece) Close() error { return nil }

func (a *archive) close() error { return a.f.Close() }

// describe is the descriptor of a small blob.
func describe(b []byte, t types.MediaType) v1.Descriptor {
	h, n, err := v1.SHA256(bytes.NewReader(b))
	if err != nil {
		panic("BUG: hashing bytes failed: " + err.Error())
	}
	return v1.Descriptor{MediaType: t, Size: n, Digest: h}
}

var layerTypes = map[Compression]types.MediaType{
	None: types.OCIUncompressedLayer, Gzip: types.OCILayer, Zstd: types.OCILayerZStd,
}

// LayerType is the media type of a layer that is compressed so.
func LayerType(c Compression) types.MediaType { return layerTypes[c] }

// describeLayer reads a layer to know its digest and compression.
func describeLayer(f files, name string) (v1.Descriptor, error) {
	r, _, err := f.open(name)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer r.Close()
	in := bufio.NewReaderSize(r, 1<<16)
	kind := sniff(in)
	h, n, err := v1.SHA256(in)
	return v1.Descriptor{MediaType: LayerType(kind), Size: n, Digest: h}, err
}
