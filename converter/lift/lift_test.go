package lift

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/elf"
)

// TestAgain: a function that is lifted again is what it was found to be.
func TestAgain(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip(err)
	}
	for _, conv := range []*convention{systemV, anyRegister} {
		p := analyze(t, "/bin/sh")
		l := newLifter(p, conv)
		fns := l.link(l.liftAll(p)).unit.fns
		if len(fns) < 100 {
			t.Fatalf("%d functions", len(fns))
		}
		for _, fn := range fns {
			want, size := flowOf(fn), fn.size
			fn.liftBlocks()
			if got := flowOf(fn); got != want || fn.ir.NumValues() != size {
				t.Fatalf("%#x under %s has %d values and\n%s\nand before %d and\n%s", fn.entry(), conv.name, fn.ir.NumValues(), got, size, want)
			}
		}
	}
}

// analyze finds the functions of a file.
func analyze(t *testing.T, name string) *disasm.Program {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.Parse(name, data)
	if err != nil {
		t.Fatal(err)
	}
	p, err := disasm.Analyze(f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// flowOf is what the data flow knows of fn.
func flowOf(fn *function) string {
	var b strings.Builder
	for _, blk := range fn.blocks {
		fmt.Fprintln(&b, blk.index, blk.liveIn, blk.softIn, blk.knownIn, blk.freshIn, blk.knownOut, blk.lostIn, blk.sp, blk.spKnown)
		for _, s := range blk.segs {
			fmt.Fprintln(&b, " ", s.use, s.def, s.pass, s.fresh, s.known, s.meant)
			if s := s.site; s != nil {
				fmt.Fprintln(&b, "  ", s.isCall(), s.isPlace(), s.direct, s.callee != nil, s.after, s.through, s.before, s.info.Kind, s.info.Target)
			}
		}
		for _, s := range blk.exits {
			fmt.Fprintln(&b, "  ", s.term.Term.Kind, s.callee != nil, s.before)
		}
	}
	return b.String()
}
