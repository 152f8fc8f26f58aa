package converter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// unitCache keeps units on disk by the hash of ELF, translator and ABI. A
// file is a unit with one more custom section, the hash of all before it. It
// appears by rename, so that any number of processes may use a cache at once
// and any may be killed; one that is damaged counts as missing.
type unitCache struct {
	dir        string
	translator string
}

const sumSection = "megabin.digest"

func openUnitCache(dir, translator string) (*unitCache, error) {
	c := &unitCache{dir, translator}
	if err := os.MkdirAll(filepath.Join(c.dir, "tmp"), 0o755); err != nil {
		return nil, fmt.Errorf("opening the unit cache: %w", err)
	}
	c.sweep()
	return c, nil
}

// path is where what is known of an ELF is cached: a unit, or with another
// suffix why there is none.
func (c *unitCache) path(source blob.ID, suffix string) string {
	name := UnitKey(c.translator, source)
	return filepath.Join(c.dir, name[:2], name+suffix)
}

// UnitKey is what the unit that a translator makes of an ELF is called in
// caches.
func UnitKey(translator string, source blob.ID) string {
	key := wasmenc.AppendName([]byte("megabin unit 1\n"), translator)
	return blob.Hash(append(key, source[:]...)).String()
}

// Suffixes of the files.
const (
	unitSuffix    = ".wasm"
	refusalSuffix = ".refused" // a hash and the reason that it is of
)

var errDamaged = errors.New("the cached unit is damaged")

// load returns the cached unit of an ELF; an error that is an
// os.ErrNotExist or errDamaged means that there is none.
func (c *unitCache) load(source blob.ID) (*unit.Unit, error) {
	b, err := os.ReadFile(c.path(source, unitSuffix))
	if err != nil {
		return nil, err
	}
	return decodeUnit(b, source)
}

// decodeUnit reads a cached unit and checks that it is whole and of an ELF.
func decodeUnit(b []byte, source blob.ID) (*unit.Unit, error) {
	end := len(b) - len(appendSum(nil))
	if end < 0 || string(appendSum(b[:end:end])) != string(b) {
		return nil, errDamaged
	}
	u, err := unit.Decode(b[:end])
	if err != nil || u.Source != source {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return u, nil
}

func (c *unitCache) store(u *unit.Unit) error {
	return c.write(c.path(u.Source, unitSuffix), appendSum(u.Encode()))
}

// loadRefusal returns why an ELF can't be recompiled, if that is cached.
func (c *unitCache) loadRefusal(source blob.ID) (reason string, ok bool) {
	b, err := os.ReadFile(c.path(source, refusalSuffix))
	if err != nil || len(b) < blob.Size || blob.Hash(b[blob.Size:]) != blob.ID(b[:blob.Size]) {
		return "", false
	}
	return string(b[blob.Size:]), true
}

func (c *unitCache) storeRefusal(source blob.ID, reason string) error {
	sum := blob.Hash([]byte(reason))
	return c.write(c.path(source, refusalSuffix), append(sum[:], reason...))
}

func (c *unitCache) write(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Join(c.dir, "tmp"), "")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func appendSum(b []byte) []byte {
	sum := blob.Hash(b)
	return wasmenc.AppendCustom(b, sumSection, sum[:])
}

// sweep removes what killed writers left behind a day ago or earlier.
func (c *unitCache) sweep() {
	tmp := filepath.Join(c.dir, "tmp")
	files, err := os.ReadDir(tmp)
	if err != nil {
		return // the next write will tell
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			os.Remove(filepath.Join(tmp, f.Name()))
		}
	}
}
