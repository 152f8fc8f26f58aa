package image

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/carrier"
	"github.com/megabin/megabin/layers/tarfs"
)

// CheckResult tells what Check looked at.
type CheckResult struct {
	Layers   int   // compared with the source's, or only read
	Units    int   // of the megabinary
	Carriers int   // files of the layers that are carriers
	Files    int   // files and other entries of the layers
	Bytes    int64 // of the layers' tar streams
}

// Check reads all of a converted image and checks every hash: of the blobs,
// of the tar streams, of the manifest, the megabinary, its units and parts, and
// that the layers can be entered where they say and hold what the tree says, and
// that no ELF file is in the image that the manifest does not know.
// With a source, which may be nil, it also checks that the image was made of
// that source, and that its layers differ from the source's in nothing but
// what carriers change.
func Check(ctx context.Context, source, converted v1.Image) (*CheckResult, error) {
	k := &checker{ctx: ctx, source: source, img: converted, res: &CheckResult{}, elves: map[blob.ID]bool{}}
	var err error
	if k.conv, err = OpenConverted(converted); err != nil {
		return nil, err
	}
	defer k.conv.Close()
	for _, step := range []func() error{k.conv.verifyAll, k.checkSource, k.checkLayers, k.checkEntries} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	k.res.Units = k.conv.Megabinary.Units()
	return k.res, nil
}

type checker struct {
	ctx         context.Context
	source, img v1.Image
	conv        *Converted
	res         *CheckResult
	elves       map[blob.ID]bool // hashes of ELF files
}

func (k *checker) checkSource() error {
	if k.source == nil {
		return nil
	}
	want, err := k.source.Digest()
	if err != nil {
		return err
	}
	m, err := k.img.Manifest()
	if err != nil {
		return err
	}
	if got := m.Annotations[AnnotationSource]; got != want.String() {
		return fmt.Errorf("the image was made of %s, the source is %v", got, want)
	}
	return nil
}

func (k *checker) checkLayers() error {
	have, err := diffLayers(k.img)
	if err != nil {
		return err
	}
	var from []diffLayer
	if k.source != nil {
		if from, err = diffLayers(k.source); err != nil {
			return err
		}
		if len(from)+1 != len(have) {
			return fmt.Errorf("%w: %d layers, the source has %d", ErrInvalid, len(have), len(from))
		}
	}
	for i, l := range have {
		if i < len(from) {
			err = k.compare(from[i], l)
		} else {
			_, err = k.scan(l)
		}
		if err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
		k.res.Layers++
	}
	return nil
}

// read gives a layer's tar stream to f and checks its hash.
func (k *checker) read(l diffLayer, f func(io.Reader) error) error {
	r, _, err := Uncompressed(l)
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	in := io.TeeReader(r, sum)
	if err := f(in); err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, in)
	if err != nil {
		return err
	}
	if n > 0 {
		return fmt.Errorf("%w: %d bytes too many", ErrInvalid, n)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != l.diffID.Hex {
		return fmt.Errorf("%w: the tar stream is sha256:%s, the config says %v", ErrInvalid, got, l.diffID)
	}
	return nil
}

// place is where an entry's content is in a tar stream.
type place struct {
	name string
	off  int64 // -1: not in one piece
	id   blob.ID
	size int64
}

// scan reads a layer and lists its regular files.
func (k *checker) scan(l diffLayer) (list []place, err error) {
	err = k.read(l, func(r io.Reader) error {
		return tarfs.Walk(r, func(e *tarfs.Entry, c *tarfs.Content) error {
			if err := k.ctx.Err(); err != nil {
				return err
			}
			k.res.Files++
			if e.Kind != tarfs.Regular {
				return nil
			}
			id, n, err := blob.HashReader(c)
			list = append(list, place{e.Name, c.Offset, id, n})
			return err
		})
	})
	return list, err
}

// compare checks that a layer is the source's with carriers.
func (k *checker) compare(from, to diffLayer) error {
	files, err := k.scan(from)
	if err != nil {
		return fmt.Errorf("of the source: %w", err)
	}
	masked, err := k.masked(files)
	if err != nil {
		return err
	}
	if from.diffID == to.diffID {
		masked = nil // an unchanged layer has originals, which may run too
	}
	r, _, err := Uncompressed(from)
	if err != nil {
		return err
	}
	defer r.Close()
	want := tarfs.Mask(r, masked)
	err = k.read(to, func(have io.Reader) error { return k.sameStream(want, have, files) })
	if err != nil || len(masked) == 0 {
		return err
	}
	return k.checkCarriers(files, to)
}

// masked is what carriers change in a layer.
func (k *checker) masked(files []place) (list []tarfs.Edit, err error) {
	for _, f := range files {
		e, ok := k.conv.Manifest.Lookup(f.id)
		if !ok || e.Carrier == nil || f.off < 0 {
			continue
		}
		u, ok, err := k.conv.Megabinary.Unit(f.id)
		if err != nil {
			return nil, err
		}
		if !ok || int64(u.Meta().SourceSize) != f.size {
			return nil, fmt.Errorf("%w: %s: its unit is not of a file of %d bytes", ErrInvalid, f.name, f.size)
		}
		k.res.Carriers++
		list = append(list, carrier.Edits(u.Meta(), f.off)...)
	}
	slices.SortFunc(list, func(a, b tarfs.Edit) int { return cmp.Compare(a.Off, b.Off) })
	return list, nil
}

// checkCarriers compares the hashes of a layer's carriers with the manifest's.
func (k *checker) checkCarriers(originals []place, to diffLayer) error {
	files, err := k.scan(to)
	if err != nil {
		return err
	}
	if len(files) != len(originals) {
		return fmt.Errorf("%w: %d files, the source has %d", ErrInvalid, len(files), len(originals))
	}
	for i, f := range files {
		e, ok := k.conv.Manifest.Lookup(originals[i].id)
		if ok && e.Carrier != nil && f.off >= 0 && f.id != *e.Carrier {
			return fmt.Errorf("%w: %s has hash %v, the manifest says %v", ErrInvalid, f.name, f.id, *e.Carrier)
		}
	}
	return nil
}

// sameStream compares two tar streams and names the file that differs.
func (k *checker) sameStream(want, have io.Reader, files []place) error {
	const size = 1 << 16
	a, b := bufio.NewReaderSize(want, size), bufio.NewReaderSize(have, size)
	x, y := make([]byte, size), make([]byte, size)
	for pos := int64(0); ; {
		if err := k.ctx.Err(); err != nil {
			return err
		}
		n, errX := io.ReadFull(a, x)
		m, errY := io.ReadFull(b, y)
		if err := realError(errX, errY); err != nil {
			return err
		}
		if !bytes.Equal(x[:n], y[:m]) {
			at := pos + int64(firstDiff(x[:n], y[:m]))
			return fmt.Errorf("%w: %s differs from the source", ErrInvalid, whereIs(at, files))
		}
		k.res.Bytes += int64(n)
		pos += int64(n)
		if n < size {
			return nil
		}
	}
}

// realError is the first error that is not the end.
func realError(errs ...error) error {
	for _, err := range errs {
		if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
	}
	return nil
}

func firstDiff(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func whereIs(at int64, files []place) string {
	for _, f := range files {
		if f.off >= 0 && at >= f.off && at < f.off+f.size {
			return fmt.Sprintf("%s, byte %#x,", f.name, at-f.off)
		}
	}
	return fmt.Sprintf("byte %#x of the tar stream", at)
}
