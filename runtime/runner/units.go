package runner

import (
	"fmt"
	"sync"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/manifest"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// Units finds an image's recompiled code by the hash of an original file or
// of its carrier, and knows which scripts are listed.
type Units struct {
	files   map[blob.ID]*manifest.Entry
	scripts map[blob.ID]bool
	largest int64
	mb      *pack.Megabinary
	warn    func(error)

	mu    sync.Mutex
	units map[blob.ID]found // by the original's hash: the machine compiles a Unit once
}

// found is a unit that was looked up.
type found struct {
	unit machine.Unit
	info kernel.UnitInfo
}

// NewUnits makes Units of an image's manifest and megabinary. warn is told of
// units that cannot be read; they are as if they were not there.
func NewUnits(m *manifest.Manifest, mb *pack.Megabinary, warn func(error)) *Units {
	u := &Units{files: m.Files(), scripts: map[blob.ID]bool{}, mb: mb, warn: warn, units: map[blob.ID]found{}}
	for _, e := range m.Entries {
		u.largest = max(u.largest, e.Size)
	}
	for _, s := range m.Scripts {
		u.scripts[s.BLAKE3] = true
		u.largest = max(u.largest, s.Size)
	}
	return u
}

// Script implements kernel.Units.
func (u *Units) Script(hash [32]byte) bool { return u.scripts[hash] }

// Largest implements kernel.Units.
func (u *Units) Largest() int64 { return u.largest }

// Lookup implements kernel.Units.
func (u *Units) Lookup(hash [32]byte) (machine.Unit, kernel.UnitInfo, bool) {
	entry, ok := u.files[hash]
	if !ok {
		return nil, kernel.UnitInfo{}, false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if f, ok := u.units[entry.BLAKE3]; ok {
		return f.unit, f.info, true
	}
	ref, ok, err := u.mb.Unit(entry.BLAKE3)
	if err != nil || !ok {
		if err == nil {
			err = fmt.Errorf("the megabinary has no unit %s", entry.BLAKE3)
		}
		u.warn(err)
		return nil, kernel.UnitInfo{}, false
	}
	meta := ref.Meta()
	info := kernel.UnitInfo{Fixed: meta.Fixed, VMin: meta.VMin}
	for _, s := range meta.Exec {
		info.Spans = append(info.Spans, kernel.Span{Unit: uint64(s.Off), File: s.FileOff, Size: s.Size})
	}
	u.units[entry.BLAKE3] = found{ref, info}
	return ref, info, true
}
