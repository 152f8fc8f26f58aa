package converter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/layers/unit"
)

// Report tells what a conversion did. Sizes are bytes.
type Report struct {
	Source     string           `json:"source"` // digest of the source
	Result     string           `json:"result"` // digest of the result
	Translator string           `json:"translator"`
	Layers     LayersReport     `json:"layers"`
	ELFs       []ELFReport      `json:"elfs"` // ascending by first path
	Total      Total            `json:"total"`
	Megabinary MegabinaryReport `json:"megabinary"`
}

// LayersReport compares the blobs of all layers.
type LayersReport struct {
	SourceBytes int64 `json:"sourceBytes"`
	ResultBytes int64 `json:"resultBytes"`
}

// ELFReport is one distinct ELF.
type ELFReport struct {
	Paths           []string      `json:"paths"`
	BLAKE3          blob.ID       `json:"blake3"`
	Size            int64         `json:"size"`
	Cached          bool          `json:"cached"`            // nothing was translated
	Refused         string        `json:"refused,omitempty"` // why it was not recompiled; nothing below is set then
	Kind            string        `json:"kind,omitempty"`
	ExecutableBytes uint64        `json:"executableBytes"` // of the executable segments
	CoveredBytes    uint64        `json:"coveredBytes"`    // recompiled
	Functions       int           `json:"functions"`
	Parts           int           `json:"parts"`
	Instructions    uint64        `json:"instructions"` // translated
	Untranslated    uint64        `json:"untranslated"` // instructions that trap
	Reasons         []unit.Reason `json:"reasons,omitempty"`
	WasmBytes       int64         `json:"wasmBytes"`
}

// Total sums up the ELFs.
type Total struct {
	ELFs            int    `json:"elfs"`
	Refused         int    `json:"refused"`
	Cached          int    `json:"cached"`
	Size            int64  `json:"size"`
	ExecutableBytes uint64 `json:"executableBytes"`
	CoveredBytes    uint64 `json:"coveredBytes"`
	Instructions    uint64 `json:"instructions"`
	Untranslated    uint64 `json:"untranslated"`
}

// MegabinaryReport tells how much folding saved.
type MegabinaryReport struct {
	Size      int64 `json:"size"`
	Functions int   `json:"functions"` // of all units
	Bodies    int   `json:"bodies"`    // distinct ones
	WasmBytes int64 `json:"wasmBytes"` // of all functions
	CodeBytes int64 `json:"codeBytes"` // of the distinct ones
}

func (c *conversion) startReport(res *pack.Result) {
	c.reportELFs()
	sh := res.Sharing
	c.report.Megabinary = MegabinaryReport{res.Size, sh.Functions, sh.Bodies, sh.FunctionBytes, sh.BodyBytes}
}

// reportELFs starts the report with what is known of the ELFs.
func (c *conversion) reportELFs() {
	c.report = &Report{Translator: c.Translator, ELFs: []ELFReport{}}
	for _, e := range c.elves {
		r := e.report()
		c.report.ELFs = append(c.report.ELFs, r)
		c.report.Total.add(&r)
	}
	slices.SortFunc(c.report.ELFs, func(a, b ELFReport) int { return strings.Compare(a.Paths[0], b.Paths[0]) })
}

func (e *elf) report() ELFReport {
	r := ELFReport{Paths: e.paths, BLAKE3: e.id, Size: e.size, Refused: e.reason, Cached: e.cached}
	if e.meta == nil {
		return r
	}
	r.Kind = e.meta.Kind.String()
	r.Functions, r.Parts, r.WasmBytes = e.funcs, e.parts, e.wasmBytes
	r.CoveredBytes = e.meta.Coverage.Bytes
	r.Instructions, r.Untranslated, r.Reasons = e.meta.Coverage.Instructions, e.meta.Coverage.Untranslated, e.meta.Coverage.Reasons
	for _, s := range e.meta.Exec {
		r.ExecutableBytes += s.Size
	}
	return r
}

func (t *Total) add(r *ELFReport) {
	t.ELFs++
	t.Size += r.Size
	t.ExecutableBytes += r.ExecutableBytes
	t.CoveredBytes += r.CoveredBytes
	t.Instructions += r.Instructions
	t.Untranslated += r.Untranslated
	if r.Refused != "" {
		t.Refused++
	}
	if r.Cached {
		t.Cached++
	}
}

func (c *conversion) finishReport(result v1.Image) error {
	for _, d := range []struct {
		img  v1.Image
		to   *string
		size *int64
	}{{c.source, &c.report.Source, &c.report.Layers.SourceBytes}, {result, &c.report.Result, &c.report.Layers.ResultBytes}} {
		digest, err := d.img.Digest()
		if err != nil {
			return err
		}
		*d.to = digest.String()
		m, err := d.img.Manifest()
		if err != nil {
			return err
		}
		for _, l := range m.Layers {
			*d.size += l.Size
		}
	}
	return nil
}

// Header names the columns of Rows.
var Header = []string{"FILE", "KIND", "SIZE", "FUNCTIONS", "INSTRUCTIONS", "NOT TRANSLATED", "CODE COVERED", "NOTE"}

// Rows is the report as a table.
func (r *Report) Rows() [][]string {
	var rows [][]string
	for i := range r.ELFs {
		rows = append(rows, r.ELFs[i].row())
	}
	return rows
}

func (e *ELFReport) row() []string {
	if e.Refused != "" {
		return []string{e.Paths[0], "-", strconv.FormatInt(e.Size, 10), "-", "-", "-", "-", "refused: " + e.Refused}
	}
	percent := 100.0
	if e.ExecutableBytes > 0 {
		percent = 100 * float64(e.CoveredBytes) / float64(e.ExecutableBytes)
	}
	return []string{
		e.Paths[0], e.Kind, strconv.FormatInt(e.Size, 10), strconv.Itoa(e.Functions),
		strconv.FormatUint(e.Instructions, 10), strconv.FormatUint(e.Untranslated, 10),
		fmt.Sprintf("%.1f %%", percent), topReasons(e.Reasons),
	}
}

// topReasons names the most frequent reasons.
func topReasons(list []unit.Reason) string {
	const top = 3
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b unit.Reason) int {
		switch {
		case a.Count > b.Count:
			return -1
		case a.Count < b.Count:
			return 1
		}
		return 0
	})
	var names []string
	for _, r := range list[:min(top, len(list))] {
		names = append(names, fmt.Sprintf("%s ×%d", r.Name, r.Count))
	}
	return strings.Join(names, ", ")
}
