package syscalls

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

//go:generate go test -run TestDocumentation -update

var update = flag.Bool("update", false, "write docs/vkernel.md")

const docFile = "../../../docs/vkernel.md"

const docHead = `# System calls

The vkernel's system calls, by number. This file is made from the table in ` + "`runtime/vkernel/syscalls/table.go`" + ` by ` + "`go generate`" + ` there;
a test checks that it is current. A call with support *none* gives ENOSYS, and the runner says so once with --strace.

Known differences from Linux that concern all calls: registers in the context of a SIGSEGV or SIGBUS are not those at the access; nothing can be executed
that was not recompiled (EACCES); addresses are below 4 GiB, but for a heap that wants more above, and not randomised.

`

func document() string {
	var b strings.Builder
	b.WriteString(docHead)
	n := map[Support]int{}
	for _, row := range Table {
		if row.Name != "" {
			n[row.Support]++
		}
	}
	fmt.Fprintf(&b, "%d full, %d partial, %d none.\n\n| nr | name | support | note |\n|---|---|---|---|\n", n[Full], n[Partial], n[None])
	for nr, row := range Table {
		if row.Name != "" {
			fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", nr, row.Name, row.Support, row.Note)
		}
	}
	return b.String()
}

func TestDocumentation(t *testing.T) {
	if *update {
		if err := os.WriteFile(docFile, []byte(document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != document() {
		t.Error("docs/vkernel.md is not what the table says; run go generate ./runtime/vkernel/syscalls")
	}
}
