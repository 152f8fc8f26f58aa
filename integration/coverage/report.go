package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// report is the JSON file.
type report struct {
	Time   time.Time          `json:"time"`
	Totals map[string]*result `json:"totals"` // by language, and "all"
	Files  []*result          `json:"files"`
}

// print writes the tables, and computes the totals for them.
func (r *report) print(w io.Writer) {
	r.sum()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "FDEs\tfound\twhole\tpads\tsymbols\twhole\tcode\tmissed\tinstructions\tnot translated\ttables\topen jumps\tsecondary\tcopied\tms\t  file\n")
	for _, f := range r.Files {
		f.row(t, f.Package+":"+f.Path)
	}
	t.Flush()
	fmt.Fprint(w, "\n")
	for _, name := range slices.Sorted(maps.Keys(r.Totals)) {
		f := r.Totals[name]
		f.row(t, name)
	}
	t.Flush()
	all := r.Totals["all"]
	printCounts(w, "functions that are not whole, by cause", all.Causes)
	printCounts(w, "instructions that are not translated, by mnemonic or reason", all.Untranslated)
	fmt.Fprint(w, "\n")
}

func (f *result) row(w io.Writer, name string) {
	if f.Error != "" {
		fmt.Fprintf(w, "\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t  %s: %s\n", name, f.Error)
		return
	}
	untranslated := 0
	for _, n := range f.Untranslated {
		untranslated += n
	}
	fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%s\t%d\t%d\t%d\t%s\t%d\t%d\t%d\t%d\t%d\t  %s\n", f.Functions.Total,
		percent(f.Functions.Found, f.Functions.Total), percent(f.Functions.Whole, f.Functions.Total),
		percent(f.Landing.Found, f.Landing.Total), f.Symbols.Total, percent(f.Symbols.Whole, f.Symbols.Total),
		f.Code, f.Missed, f.Instructions, percent(untranslated, f.Instructions), f.Switches, f.Open, f.Partial, f.Copied, f.Milliseconds, name)
}

func percent(part, all int) string {
	switch {
	case all == 0:
		return "-"
	case part == all:
		return "100%"
	}
	return fmt.Sprintf("%.3f%%", float64(part)*100/float64(all))
}

// sum adds the files up by language.
func (r *report) sum() {
	r.Totals = map[string]*result{}
	for _, f := range r.Files {
		for _, name := range []string{f.Language, "all"} {
			if r.Totals[name] == nil {
				r.Totals[name] = &result{Untranslated: map[string]int{}, Causes: map[string]int{}}
			}
			r.Totals[name].include(f)
		}
	}
}

func (r *result) include(f *result) {
	for _, c := range []struct{ to, from *count }{{&r.Functions, &f.Functions}, {&r.Symbols, &f.Symbols}, {&r.Landing, &f.Landing}} {
		c.to.Total += c.from.Total
		c.to.Found += c.from.Found
		c.to.Whole += c.from.Whole
	}
	r.Code += f.Code
	r.Missed += f.Missed
	r.Instructions += f.Instructions
	r.Switches += f.Switches
	r.Open += f.Open
	r.Entries += f.Entries
	r.Partial += f.Partial
	r.Copied += f.Copied
	r.Milliseconds += f.Milliseconds
	for k, n := range f.Untranslated {
		r.Untranslated[k] += n
	}
	for k, n := range f.Causes {
		r.Causes[k] += n
	}
}

// printed is how many causes are shown; the report has all.
const printed = 40

func printCounts(w io.Writer, title string, counts map[string]int) {
	fmt.Fprintf(w, "\n%s:\n", title)
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for i, k := range keys {
		if i == printed {
			fmt.Fprintf(w, "%8s  and %d more\n", "", len(keys)-i)
			break
		}
		fmt.Fprintf(w, "%8d  %s\n", counts[k], k)
	}
}
