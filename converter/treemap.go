package converter

import (
	"cmp"
	"slices"
)

// rect is a rectangle in a drawing.
type rect struct{ X, Y, W, H float64 }

// shorter is the length of the shorter side.
func (r rect) shorter() float64 { return min(r.W, r.H) }

// squarify divides a rectangle into parts with areas in proportion to sizes,
// which descend and are positive, each as square as may be (Bruls, Huizing, van
// Wijk, Squarified Treemaps, 2000).
func squarify(r rect, sizes []float64) []rect {
	total := 0.0
	for _, s := range sizes {
		total += s
	}
	scale := r.W * r.H / total
	var out []rect
	for len(sizes) > 0 {
		n := rowLength(sizes, scale, r.shorter())
		row, rest := layRow(r, sizes[:n], scale)
		out = append(out, row...)
		r, sizes = rest, sizes[n:]
	}
	return out
}

// rowLength is how many parts the next row takes, so that the worst of them is
// as square as it can be.
func rowLength(sizes []float64, scale, side float64) int {
	best := worst(sizes[:1], scale, side)
	for n := 2; n <= len(sizes); n++ {
		w := worst(sizes[:n], scale, side)
		if w > best {
			return n - 1
		}
		best = w
	}
	return len(sizes)
}

// worst is the highest ratio of sides in a row along a side.
func worst(row []float64, scale, side float64) float64 {
	sum := 0.0
	for _, s := range row {
		sum += s * scale
	}
	depth := sum / side
	w := 0.0
	for _, s := range row {
		length := s * scale / depth
		w = max(w, length/depth, depth/length)
	}
	return w
}

// layRow puts a row along the shorter side and gives what is left.
func layRow(r rect, row []float64, scale float64) (list []rect, rest rect) {
	sum := 0.0
	for _, s := range row {
		sum += s * scale
	}
	depth := sum / r.shorter()
	at := 0.0
	for _, s := range row {
		length := s * scale / depth
		if r.W >= r.H {
			list = append(list, rect{r.X, r.Y + at, depth, length})
		} else {
			list = append(list, rect{r.X + at, r.Y, length, depth})
		}
		at += length
	}
	if r.W >= r.H {
		return list, rect{r.X + depth, r.Y, max(r.W-depth, 0), r.H}
	}
	return list, rect{r.X, r.Y + depth, r.W, max(r.H-depth, 0)}
}

// tile is an ELF in the drawing.
type tile struct {
	rect
	ELF *ELFReport
}

// tileGroup is the ELFs of a directory.
type tileGroup struct {
	rect
	Name  string
	Size  float64
	Tiles []tile
}

// treemap draws the ELFs by size, those of a directory together.
func treemap(elves []ELFReport, area rect, directory func(string) string) []tileGroup {
	byName := map[string]*tileGroup{}
	for i := range elves {
		e := &elves[i]
		name := directory(e.Paths[0])
		if byName[name] == nil {
			byName[name] = &tileGroup{Name: name}
		}
		g := byName[name]
		g.Size += tileSize(e)
		g.Tiles = append(g.Tiles, tile{ELF: e})
	}
	var groups []tileGroup
	for _, g := range byName {
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b tileGroup) int { return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Name, b.Name)) })
	var sizes []float64
	for _, g := range groups {
		sizes = append(sizes, g.Size)
	}
	for i, r := range squarify(area, sizes) {
		groups[i].rect = r
		groups[i].lay()
	}
	return groups
}

// tileSize is an ELF's bytes; an empty one is drawn too.
func tileSize(e *ELFReport) float64 { return float64(max(e.Size, 1)) }

func (g *tileGroup) lay() {
	slices.SortStableFunc(g.Tiles, func(a, b tile) int { return cmp.Compare(b.ELF.Size, a.ELF.Size) })
	var sizes []float64
	for _, t := range g.Tiles {
		sizes = append(sizes, tileSize(t.ELF))
	}
	for i, r := range squarify(g.rect, sizes) {
		g.Tiles[i].rect = r
	}
}
