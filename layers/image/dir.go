package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sys/unix"
)

// openDir makes an image of one uncompressed layer out of a directory. The
// layer is a pure function of what is in the directory.
func openDir(ctx context.Context, root string) (v1.Image, func() error, error) {
	if info, err := os.Stat(root); err != nil {
		return nil, nil, err
	} else if !info.IsDir() {
		return nil, nil, fmt.Errorf("%s is no directory", root)
	}
	f, err := TempFile()
	if err != nil {
		return nil, nil, err
	}
	img, err := dirImage(ctx, root, f)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return img, f.Close, nil
}

func dirImage(ctx context.Context, root string, f *os.File) (v1.Image, error) {
	if err := packDir(ctx, root, f); err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	diffID, _, err := v1.SHA256(io.NewSectionReader(f, 0, size))
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(&v1.ConfigFile{
		OS: Platform.OS, Architecture: Platform.Architecture,
		History: []v1.History{{CreatedBy: "directory"}},
		RootFS:  v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{diffID}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal(&v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: describe(config, types.OCIConfigJSON),
		Layers: []v1.Descriptor{{MediaType: types.OCIUncompressedLayer, Size: size, Digest: diffID}},
	})
	if err != nil {
		return nil, err
	}
	return New(manifest, config, func(v1.Descriptor) (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(f, 0, size)), nil
	})
}

// packDir writes a directory as a tar stream, names ascending. Other file
// systems mounted in it (/proc of a chroot) appear as empty directories.
func packDir(ctx context.Context, root string, w io.Writer) error {
	p := &packer{w: tar.NewWriter(w), root: root, seen: map[[2]uint64]string{}}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		return p.add(name)
	})
	if err != nil {
		return err
	}
	return p.w.Close()
}

type packer struct {
	w    *tar.Writer
	root string
	dev  uint64               // of the root
	seen map[[2]uint64]string // device and inode of a file with several names
}

func (p *packer) add(name string) error {
	rel, err := filepath.Rel(p.root, name)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		return &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	if rel == "." {
		p.dev = st.Dev
	}
	h, err := p.header(name, filepath.ToSlash(rel), &st)
	if err != nil || h == nil {
		return err
	}
	if err := p.w.WriteHeader(h); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if h.Typeflag == tar.TypeReg {
		if err := p.content(name, h.Size); err != nil {
			return err
		}
	}
	if h.Typeflag == tar.TypeDir && st.Dev != p.dev {
		return filepath.SkipDir
	}
	return nil
}

var tarTypes = map[uint32]byte{
	unix.S_IFREG: tar.TypeReg, unix.S_IFDIR: tar.TypeDir, unix.S_IFLNK: tar.TypeSymlink,
	unix.S_IFCHR: tar.TypeChar, unix.S_IFBLK: tar.TypeBlock, unix.S_IFIFO: tar.TypeFifo,
}

// header is nil for what an image can't have: a socket.
func (p *packer) header(name, rel string, st *unix.Stat_t) (*tar.Header, error) {
	kind, ok := tarTypes[st.Mode&unix.S_IFMT]
	if !ok {
		return nil, nil
	}
	h := &tar.Header{
		Typeflag: kind, Name: rel, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid),
		ModTime: time.Unix(st.Mtim.Sec, st.Mtim.Nsec), Format: tar.FormatPAX, PAXRecords: map[string]string{},
	}
	switch kind {
	case tar.TypeDir:
		h.Name += "/"
	case tar.TypeReg:
		h.Size = st.Size
	case tar.TypeSymlink:
		link, err := os.Readlink(name)
		if err != nil {
			return nil, err
		}
		h.Linkname = link
	case tar.TypeChar, tar.TypeBlock:
		h.Devmajor, h.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	}
	if kind != tar.TypeDir && st.Nlink > 1 {
		key := [2]uint64{st.Dev, st.Ino}
		if first, ok := p.seen[key]; ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			return h, nil
		}
		p.seen[key] = rel
	}
	return h, addXattrs(h, name)
}

func addXattrs(h *tar.Header, name string) error {
	list, err := readAttr(func(b []byte) (int, error) { return unix.Llistxattr(name, b) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return &fs.PathError{Op: "listxattr", Path: name, Err: err}
	}
	for attr := range bytes.SplitSeq(bytes.TrimSuffix(list, []byte{0}), []byte{0}) {
		if len(attr) == 0 || strings.HasPrefix(string(attr), "system.") {
			continue
		}
		value, err := readAttr(func(b []byte) (int, error) { return unix.Lgetxattr(name, string(attr), b) })
		if err != nil {
			return &fs.PathError{Op: "getxattr " + string(attr), Path: name, Err: err}
		}
		h.PAXRecords["SCHILY.xattr."+string(attr)] = string(value)
	}
	return nil
}

// readAttr calls get with a buffer that is large enough (xattr(7): 64 KiB).
func readAttr(get func([]byte) (int, error)) ([]byte, error) {
	n, err := get(nil)
	if err != nil || n == 0 {
		return nil, err
	}
	b := make([]byte, 1<<16)
	n, err = get(b)
	return b[:max(n, 0)], err
}

func (p *packer) content(name string, size int64) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(p.w, io.LimitReader(f, size))
	if err == nil && n != size {
		err = fmt.Errorf("%s changed while it was read", name)
	}
	return err
}
