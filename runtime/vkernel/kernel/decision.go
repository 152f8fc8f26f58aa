package kernel

import (
	"fmt"
	"strconv"

	"github.com/megabin/megabin/runtime/vkernel/mm"
)

// Policy says how what may be executed is decided on.
type Policy struct {
	// Permissive gives executable memory to who asks for it with mmap,
	// mprotect or mremap although nothing in it can run. execve is as without it.
	Permissive bool
	// ListedScripts demands of "#!" scripts too that they are listed.
	ListedScripts bool
}

// Verdict is how a Decision ended.
type Verdict string

// The verdicts; they are the words of the audit log.
const (
	Allowed  Verdict = "allowed"
	Refused  Verdict = "refused"
	Reported Verdict = "reported" // Policy.Permissive: would be refused, and can't run
)

// Decision is on whether something may be executed.
type Decision struct {
	mm.Asker
	Path    string   // "" for anonymous memory
	Hash    [32]byte // BLAKE3-256; zero if nothing was hashed
	Verdict Verdict
	Reason  string // why not
}

// Hashed tells whether there is a hash.
func (d Decision) Hashed() bool { return d.Hash != [32]byte{} }

// String is the line for the person; what a guest chose in it can't pretend to
// be another line.
func (d Decision) String() string {
	name, verb := d.Path, "refused to execute"
	if d.Verdict == Reported {
		verb = "would refuse to execute"
	}
	if name == "" {
		name = "anonymous memory"
	} else if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		name = quoted
	}
	if !d.Hashed() {
		return fmt.Sprintf("%s %s: %s", verb, name, d.Reason)
	}
	return fmt.Sprintf("%s %s (blake3 %x): %s", verb, name, d.Hash, d.Reason)
}
