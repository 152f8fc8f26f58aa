package lift

import (
	"os"
	"testing"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/elf"
)

// TestBig: functions that are lifted again when they are asked for are the
// same as those that were kept.
func TestBig(t *testing.T) {
	data, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Skip(err)
	}
	f, err := elf.Parse("sh", data)
	if err != nil {
		t.Fatal(err)
	}
	for _, conv := range []*convention{systemV, anyRegister} {
		var lifted [2]*Result
		for i := range lifted {
			p, err := disasm.Analyze(f)
			if err != nil {
				t.Fatal(err)
			}
			l := newLifter(p, conv)
			l.big = i > 0
			lifted[i] = l.link(l.liftAll(p))
		}
		kept, again := lifted[0], lifted[1]
		if kept.Len() < 100 || kept.Len() != again.Len() || kept.Instructions != again.Instructions {
			t.Fatalf("%d functions, %d instructions and %d, %d", kept.Len(), kept.Instructions, again.Len(), again.Instructions)
		}
		for i := range kept.Len() {
			if kept.Size(i) != again.Size(i) {
				t.Errorf("function %d: sizes %d and %d", i, kept.Size(i), again.Size(i))
			}
			if want, got := kept.Func(i).String(), again.Func(i).String(); got != want {
				t.Fatalf("function %d under %s is\n%s\nand lifted again\n%s", i, conv.name, want, got)
			}
		}
	}
}
