// Package opt has the passes over IR between lifting and emission. A pass is
// a row of the table Passes; their order is checked by a test. A pass must
// keep the invariant of docs/architecture.md ("State is data"): what lives
// across a call is a register's value, a constant, or a known distance from
// rsp.
package opt

import "github.com/megabin/megabin/converter/ir"

// Pass is one transformation of a function.
type Pass struct {
	Name string
	Why  string
	Run  func(*ir.Func)
}

// Passes is the pipeline, in order.
var Passes = []Pass{
	{"dispatch", "switch in one place where many switches have the same targets", dispatch},
	{"params", "drop block parameters that can have one value only", params},
	{"park", "leave registers that are only handed on in the register file", park},
	{"spill", "put registers in the register file before calls, exits and polls need them there", spill},
	{"thread", "go straight through blocks that only jump on", thread},
	{"frame", "address the stack frame from its lowest address", frame},
	{"demanded", "make do with the bits that something reads", demanded},
	{"cse", "compute a value once, as the engine does not", cse},
	{"dce", "drop values that nothing uses", dce},
	{"sink", "make a value only on the way that needs it", sink},
}

// Run runs all passes over f.
func Run(f *ir.Func) {
	for _, p := range Passes {
		p.Run(f)
	}
}
