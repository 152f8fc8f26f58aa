package syscalls

import (
	"testing"

	"github.com/megabin/megabin/runtime/vkernel/strace"
)

// TestRows checks what the compiler cannot: that signatures are well-formed and
// rows say what they are.
func TestRows(t *testing.T) {
	for nr, row := range Table {
		if (row.Fn == nil) != (row.Support == None) {
			t.Errorf("%d %s: support %v does not go with its function", nr, row.Name, row.Support)
		}
		if row.Support == Partial && row.Note == "" {
			t.Errorf("%d %s: partial without a note", nr, row.Name)
		}
		func() {
			defer func() {
				if err := recover(); err != nil {
					t.Errorf("%d %s: %v", nr, row.Name, err)
				}
			}()
			strace.Parse(row.Args)
		}()
	}
}
