package main

import (
	"context"
	"fmt"
	"slices"
)

// treeRows are measured in turn in one container, as each needs what the one
// before it leaves.
var treeRows = []string{"untar", "find", "rm -r"}

const treeScript = `set -e
` + micro + ` run 1 /usr/bin/tar -xf ` + share + `/tree.tar -C /tmp
` + micro + ` run 1 /usr/bin/find /tmp/tree -name '*7.c' -size +0 -newermt 1960-01-01
` + micro + ` run 1 /usr/bin/rm -r /tmp/tree`

// trees prints what work on many small files takes.
func (b *bench) trees(ctx context.Context) error {
	if !b.wants("trees") {
		return nil
	}
	t, err := b.toolbox(ctx)
	if err != nil {
		return err
	}
	by := []system{{"native", t.native}, {"megabin", b.lifted}}
	values := make([][][]float64, len(by)) // by system and row
	for i := range values {
		values[i] = make([][]float64, len(treeRows))
	}
	for range b.fewRuns() {
		for i, r := range by {
			took, err := runMicro(ctx, r, []string{"/bin/sh", "-c", treeScript})
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			if len(took) != len(treeRows) {
				return fmt.Errorf("%s: %d measurements, want %d", r.name, len(took), len(treeRows))
			}
			for j, ns := range took {
				values[i][j] = append(values[i][j], ns)
			}
		}
	}
	fmt.Printf("a tree of %d files in memory\n\n%-10s %10s %10s\n", treeFiles, "", "native ms", "megabin")
	for j, name := range treeRows {
		for i, r := range by {
			b.add(sample{"tree", name, r.name, "ns", values[i][j]})
		}
		native := slices.Min(values[0][j])
		fmt.Printf("%-10s %10.1f %9.2f×\n", name, native/1e6, slices.Min(values[1][j])/native)
	}
	fmt.Println()
	return nil
}
