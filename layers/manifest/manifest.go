// Package manifest is manifest.json: for people and tools, what is in a
// megabinary; for the runner, the way from the hash of a file in the image,
// original or carrier, to its unit. It is canonical JSON (RFC 8785); Schema
// has its JSON Schema. The package knows nothing of images or code.
package manifest

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sort"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/layers/unit"
)

// Schema is the JSON Schema (2020-12) of manifest.json.
//
//go:embed schema.json
var Schema []byte

// Version is that of the format. A reader refuses a newer one.
const Version = 1

// Names in the image.
const (
	Dir            = ".megabin"
	Name           = Dir + "/manifest.json"
	MegabinaryName = Dir + "/megabinary.wasm"
	TreeName       = Dir + "/tree"
)

// ErrInvalid is wrapped by every error about a manifest's content.
var ErrInvalid = errors.New("invalid manifest")

// Manifest is the content of manifest.json.
type Manifest struct {
	Entries       []Entry      `json:"entries"` // ascending by BLAKE3
	FormatVersion int          `json:"formatVersion"`
	Megabinary    Megabinary   `json:"megabinary"`
	Refused       []Refused    `json:"refused"` // ascending by BLAKE3
	Scripts       []Script     `json:"scripts"` // ascending by BLAKE3
	Sharing       pack.Sharing `json:"sharing"`
	Tree          *blob.ID     `json:"tree,omitempty"` // of the file TreeName; nil: there is none
	Translator    string       `json:"translator"`
}

// Megabinary identifies the megabinary beside the manifest.
type Megabinary struct {
	BLAKE3    blob.ID `json:"blake3"`
	Directory blob.ID `json:"directory"` // what pack.Megabinary.Directory must be
	Size      int64   `json:"size"`      // bytes
}

// Entry is one recompiled ELF.
type Entry struct {
	BLAKE3   blob.ID   `json:"blake3"` // of the original file
	BuildID  HexBytes  `json:"buildId,omitempty"`
	Carrier  *blob.ID  `json:"carrier,omitempty"` // of the file that is there in its place; nil: the original is
	Coverage Coverage  `json:"coverage"`
	Entry    uint32    `json:"entry"` // unit offset
	Kind     unit.Kind `json:"kind"`
	Paths    []string  `json:"paths"` // in the image, ascending
	Size     int64     `json:"size"`  // bytes
	Unit     blob.ID   `json:"unit"`  // of the unit's record in the megabinary
}

// Coverage tells how much of an ELF was recompiled.
type Coverage struct {
	CoveredBytes    uint64        `json:"coveredBytes"` // of recompiled instructions
	ExecutableBytes uint64        `json:"executableBytes"`
	Functions       uint64        `json:"functions"`
	Instructions    uint64        `json:"instructions"`
	Reasons         []unit.Reason `json:"reasons,omitempty"` // why instructions were not translated
	Untranslated    uint64        `json:"untranslated"`
}

// Refused is an ELF that was not recompiled and can't run.
type Refused struct {
	BLAKE3 blob.ID  `json:"blake3"`
	Paths  []string `json:"paths"` // in the image, ascending
	Reason string   `json:"reason"`
}

// Script is an executable file that begins with "#!".
type Script struct {
	BLAKE3 blob.ID  `json:"blake3"`
	Paths  []string `json:"paths"` // in the image, ascending
	Size   int64    `json:"size"`  // bytes
}

// HexBytes is a byte string, in JSON in hex digits.
type HexBytes []byte

// MarshalText implements encoding.TextMarshaler.
func (h HexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *HexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

// NewEntry makes the entry of a unit with its record's digest.
func NewEntry(m *unit.Meta, record blob.ID) Entry {
	e := Entry{
		BLAKE3: m.Source, BuildID: m.BuildID, Entry: m.Entry, Kind: m.Kind, Size: int64(m.SourceSize), Unit: record,
		Coverage: Coverage{
			CoveredBytes: m.Coverage.Bytes,
			Functions:    m.Coverage.Functions,
			Instructions: m.Coverage.Instructions,
			Untranslated: m.Coverage.Untranslated,
			Reasons:      m.Coverage.Reasons,
		},
	}
	for _, s := range m.Exec {
		e.Coverage.ExecutableBytes += s.Size
	}
	return e
}

// Encode returns the manifest as canonical JSON with a final newline.
func (m *Manifest) Encode() ([]byte, error) {
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	b, err := json.Marshal(m.withLists())
	if err != nil {
		return nil, err
	}
	b, err = canonical(b)
	return append(b, '\n'), err
}

// withLists has empty lists in place of nil ones, which would become null.
func (m *Manifest) withLists() *Manifest {
	c := *m
	c.Entries = append([]Entry{}, m.Entries...)
	c.Refused = append([]Refused{}, m.Refused...)
	for i := range c.Entries {
		c.Entries[i].Paths = append([]string{}, c.Entries[i].Paths...)
	}
	for i := range c.Refused {
		c.Refused[i].Paths = append([]string{}, c.Refused[i].Paths...)
	}
	c.Scripts = append([]Script{}, m.Scripts...)
	for i := range c.Scripts {
		c.Scripts[i].Paths = append([]string{}, c.Scripts[i].Paths...)
	}
	return &c
}

// Decode reads a manifest. It need not be canonical; members it does not
// know are ignored.
func Decode(b []byte) (*Manifest, error) {
	m, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return m, nil
}

func decode(b []byte) (*Manifest, error) {
	m := &Manifest{}
	err := json.Unmarshal(b, m)
	if newer := newerVersion(b, m, err); newer != nil {
		return nil, newer
	}
	if err != nil {
		return nil, err
	}
	return m, m.validate()
}

// newerVersion tells that a manifest is of a version we do not read, also
// when decoding it failed because that version has other members.
func newerVersion(b []byte, m *Manifest, failed error) error {
	version := struct{ FormatVersion int }{m.FormatVersion}
	if failed != nil {
		if err := json.Unmarshal(b, &version); err != nil {
			return nil
		}
	}
	if version.FormatVersion > Version {
		return fmt.Errorf("version %d, this program reads up to %d", version.FormatVersion, Version)
	}
	return nil
}

func (m *Manifest) validate() error {
	if m.FormatVersion < 1 {
		return fmt.Errorf("version %d", m.FormatVersion)
	}
	if m.Megabinary.Size < 0 {
		return fmt.Errorf("megabinary of %d bytes", m.Megabinary.Size)
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		if i > 0 && bytes.Compare(e.BLAKE3[:], m.Entries[i-1].BLAKE3[:]) <= 0 {
			return fmt.Errorf("entry %v is out of order", e.BLAKE3)
		}
		if e.Size < 0 {
			return fmt.Errorf("entry %v: size %d", e.BLAKE3, e.Size)
		}
	}
	for i := range m.Refused {
		if r := &m.Refused[i]; i > 0 && bytes.Compare(r.BLAKE3[:], m.Refused[i-1].BLAKE3[:]) <= 0 {
			return fmt.Errorf("refused %v is out of order", r.BLAKE3)
		}
	}
	for i := range m.Scripts {
		s := &m.Scripts[i]
		if i > 0 && bytes.Compare(s.BLAKE3[:], m.Scripts[i-1].BLAKE3[:]) <= 0 {
			return fmt.Errorf("script %v is out of order", s.BLAKE3)
		}
		if s.Size < 0 {
			return fmt.Errorf("script %v: size %d", s.BLAKE3, s.Size)
		}
	}
	return nil
}

// Lookup returns the entry of an original file.
func (m *Manifest) Lookup(id blob.ID) (*Entry, bool) {
	i := sort.Search(len(m.Entries), func(i int) bool {
		return bytes.Compare(m.Entries[i].BLAKE3[:], id[:]) >= 0
	})
	if i == len(m.Entries) || m.Entries[i].BLAKE3 != id {
		return nil, false
	}
	return &m.Entries[i], true
}

// Files returns the entry of each hash, of an original or of a carrier, that
// may run. An original comes before another one's carrier.
func (m *Manifest) Files() map[blob.ID]*Entry {
	files := make(map[blob.ID]*Entry, 2*len(m.Entries))
	for i := range m.Entries {
		if c := m.Entries[i].Carrier; c != nil {
			files[*c] = &m.Entries[i]
		}
	}
	for i := range m.Entries {
		files[m.Entries[i].BLAKE3] = &m.Entries[i]
	}
	return files
}

// Verify checks that the manifest is the one of an opened megabinary: same
// directory, same units. The megabinary's own digest is left to who reads all
// of it.
func (m *Manifest) Verify(mb *pack.Megabinary) error {
	if mb.Directory() != m.Megabinary.Directory {
		return fmt.Errorf("%w: the megabinary's directory is %v, not %v", ErrInvalid, mb.Directory(), m.Megabinary.Directory)
	}
	if mb.Units() != len(m.Entries) {
		return fmt.Errorf("%w: the megabinary has %d units, not %d", ErrInvalid, mb.Units(), len(m.Entries))
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		if mb.Source(i) != e.BLAKE3 || mb.Digest(i) != e.Unit {
			return fmt.Errorf("%w: unit %d of the megabinary is %v of %v, not %v of %v", ErrInvalid,
				i, mb.Digest(i), mb.Source(i), e.Unit, e.BLAKE3)
		}
	}
	return nil
}
