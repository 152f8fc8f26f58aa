package converter

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"path"
	"slices"
	"sync"
)

//go:embed report.html
var reportHTML string

// area is the treemap's, in its own units.
var area = rect{W: 1200, H: 700}

// legend has the colours of the treemap, by how much is translated.
var legend = []struct {
	Name, Color string
	least       float64 // share of instructions that are translated
}{
	{"all translated", "#8fcf9b", 1},
	{"more than 99.9 %", "#c5e3a0", 0.999},
	{"more than 99 %", "#f3e08c", 0.99},
	{"less", "#f0a77b", 0},
	{"can’t run", "#bbbbbb", -1},
}

var reportTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("report").Funcs(template.FuncMap{
		"px":      func(f float64) string { return fmt.Sprintf("%.2f", f) },
		"add":     func(f float64, n int) float64 { return f + float64(n) },
		"base":    path.Base,
		"bytes":   bytesText,
		"color":   func(e *ELFReport) string { return e.color() },
		"note":    note,
		"covered": covered,
		"fits": func(t tile) bool {
			const perLetter, height = 6.5, 16 // of the font
			return t.H > height && t.W > 6+perLetter*float64(len(path.Base(t.ELF.Paths[0])))
		},
	}).Parse(reportHTML))
})

// WriteHTML writes a report as one page that needs nothing else.
func (r *Report) WriteHTML(w io.Writer) error {
	type row struct{ Name, Value string }
	t, l, m := r.Total, r.Layers, r.Megabinary
	page := struct {
		Report       *Report
		Summary      []row
		Key          any
		Area         rect
		Groups       []tileGroup
		Untranslated []ELFReport
	}{Report: r, Key: legend, Area: area, Untranslated: r.untranslated(), Summary: []row{
		{"Source", r.Source}, {"Result", r.Result}, {"Translator", r.Translator},
		{"ELF files", fmt.Sprintf("%d, %s; %d were in the cache, %d can’t run", t.ELFs, bytesText(t.Size), t.Cached, t.Refused)},
		{"Instructions", fmt.Sprintf("%d translated, %d not", t.Instructions, t.Untranslated)},
		{"Functions", fmt.Sprintf("%d, of which %d distinct; %s of WebAssembly, of which %s are kept", m.Functions, m.Bodies, bytesText(m.WasmBytes), bytesText(m.CodeBytes))},
		{"Layers", fmt.Sprintf("%s, the source’s %s", bytesText(l.ResultBytes), bytesText(l.SourceBytes))},
	}}
	if len(r.ELFs) > 0 {
		page.Groups = treemap(r.ELFs, area, path.Dir)
	}
	return reportTemplate().Execute(w, page)
}

// untranslated lists the ELFs that are not translated whole, the worst first.
func (r *Report) untranslated() (list []ELFReport) {
	for _, e := range r.ELFs {
		if e.Untranslated > 0 || e.Refused != "" {
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(a, b ELFReport) int {
		return cmp.Or(cmp.Compare(len(b.Refused), len(a.Refused)), cmp.Compare(b.Untranslated, a.Untranslated))
	})
	return list
}

func (e *ELFReport) color() string {
	share := -1.0
	if e.Refused == "" {
		share = 1
		if all := e.Instructions + e.Untranslated; all > 0 {
			share = float64(e.Instructions) / float64(all)
		}
	}
	for _, k := range legend {
		if share >= k.least {
			return k.Color
		}
	}
	return legend[len(legend)-1].Color
}

// elfOf lets the template give an ELF by value or by pointer.
func elfOf(v any) *ELFReport {
	if e, ok := v.(ELFReport); ok {
		return &e
	}
	return v.(*ELFReport)
}

// note says what is to be said of an ELF: why it or some of it is not
// translated.
func note(v any) string {
	e := elfOf(v)
	switch {
	case e.Refused != "":
		return "can’t run: " + e.Refused
	case e.Untranslated > 0:
		return topReasons(e.Reasons)
	}
	return "all translated"
}

func covered(v any) string {
	e := elfOf(v)
	if e.Refused != "" || e.ExecutableBytes == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100*float64(e.CoveredBytes)/float64(e.ExecutableBytes))
}

// bytesText writes a number of bytes for people.
func bytesText(n int64) string {
	f := float64(n)
	for _, unit := range []string{"B", "kB", "MB"} {
		if f < 1000 {
			return fmt.Sprintf("%.3g %s", f, unit)
		}
		f /= 1000
	}
	return fmt.Sprintf("%.3g GB", f)
}
