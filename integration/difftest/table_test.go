package difftest

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/elf"
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/lift"
	"github.com/megabin/megabin/converter/x86"
	"github.com/megabin/megabin/layers/abi"
)

var update = flag.Bool("update", false, "write docs/instructions.md")

const tablePath = "../../docs/instructions.md"

// tableHead explains the table.
const tableHead = `# Instructions

Made by ` + "`go test ./integration/difftest -run TestInstructionTable -update`" + ` from the decoder's and the lifter's tables; a test checks
that it is current. A form is a mnemonic with kinds of operands: r and m with their bits, st (x87), mm, xmm, sreg, imm.

* **translated**: lifted to IR. **#UD**, **#GP**, **#BP**: faults, as on the processor at privilege level 3.
  **not translated**: SIGILL and a message when reached. What CPUID does not announce says so.
* **vectors**: every form runs on the processor, recompiled, and in the IR's interpreter, from edge values and noise; 2 encodings ×
  6 states in ` + "`make test`" + `, 10 × 100 in ` + "`make conformance`" + `. Undefined flags and the like are tables with the manual's words in
  ` + "`integration/difftest/policy.go`" + `.
* All VEX, EVEX and XOP encodings are decoded for their length only, and not announced.

`

// TestInstructionTable keeps docs/instructions.md what the code says.
func TestInstructionTable(t *testing.T) {
	table := tableHead + instructionTable()
	if *update {
		if err := os.WriteFile(tablePath, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(tablePath)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != table {
		t.Error("docs/instructions.md is not current: run this test with -update")
	}
}

// tableRow is what forms of one mnemonic have in common.
type tableRow struct{ name, status, tests string }

func instructionTable() string {
	var order []tableRow
	operands := map[tableRow][]string{}
	total := map[string]int{}
	for _, f := range Forms() {
		name, args, _ := strings.Cut(f.Name, " ")
		for _, p := range []string{"LOCK", "REP", "REPNE", "o16"} {
			if name == p {
				next, rest, _ := strings.Cut(args, " ")
				name, args = p+" "+next, rest
			}
		}
		row := tableRow{name, f.status(), f.tests()}
		if operands[row] == nil {
			order = append(order, row)
		}
		operands[row] = append(operands[row], strings.ReplaceAll(args, ", ", ","))
		total[row.status]++
	}
	slices.SortStableFunc(order, func(a, b tableRow) int { return strings.Compare(a.name, b.name) })
	var b strings.Builder
	for _, s := range []string{translated, "#GP", "#UD", "#BP", untranslated} {
		fmt.Fprintf(&b, "%d forms %s. ", total[s], s)
	}
	b.WriteString("\n\n| instruction | operands | status | tests |\n|---|---|---|---|\n")
	for _, r := range order {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.name, strings.TrimSpace(strings.Join(operands[r], " · ")), r.status, r.tests)
	}
	return b.String()
}

// Statuses besides faults.
const (
	translated   = "translated"
	untranslated = "not translated"
)

var ret = func() x86.Inst {
	in, err := x86.Decode([]byte{0xc3}, CodeBase+16)
	if err != nil {
		panic(err)
	}
	return in
}()

// status lifts f in front of a ret and looks at what became of it.
func (f *Form) status() string {
	if f.Op == x86asm.RET || f.Op == x86asm.LOOP || strings.HasPrefix(f.Name, "J") || strings.HasPrefix(f.Name, "LOOP") {
		return translated // ends of blocks, which have no row
	}
	in := f.Inst
	block := &disasm.Block{Addr: in.Addr, Insts: []x86.Inst{in, ret}, Term: disasm.Term{Kind: disasm.Ret}}
	res := lift.Program(&disasm.Program{
		File:  &elf.File{VMin: CodeBase},
		Funcs: []*disasm.Func{{Entry: in.Addr, Blocks: []*disasm.Block{block}}},
	})
	if len(res.Untranslated) > 0 {
		return untranslated
	}
	status := translated
	for _, b := range ir.NewCFG(res.Func(0)).Order {
		i := slices.IndexFunc(b.Values, func(v *ir.Value) bool { return v.Op == ir.Trap })
		if i >= 0 {
			status = faults[abi.TrapKind(b.Values[i].Aux)]
		}
		switch b.Term.Kind {
		case ir.Return, ir.Leave, ir.TailCall:
			if i >= 0 { // behind it only a handler goes on
				return status
			}
			return translated
		}
	}
	return status
}

var faults = map[abi.TrapKind]string{abi.TrapUD: "#UD", abi.TrapPrivileged: "#GP", abi.TrapBreakpoint: "#BP"}

func (f *Form) tests() string {
	if why := f.Untested(); why != "" {
		return why
	}
	return "vectors"
}
