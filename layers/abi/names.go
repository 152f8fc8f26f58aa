package abi

import "strconv"

// TableNames are the import names of the tables (funcref).
var TableNames = [NumTables]string{TableSlots: "table", TableCode: "code"}

// TableLimits are the limits of the tables as imports have them: the keyed one has all elements from the beginning.
var TableLimits = [NumTables][]byte{
	TableSlots: {0, 0},
	TableCode:  {1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0xff, 0x0f},
}

// Imports of a unit that a part replaces by globals of its own.
const (
	UnitModule = "unit"
	LinName    = "lin"
	SlotsName  = "slots"
)

// InitName is the export of a part that sets its globals and fills its slots.
const InitName = "init"

var regNames = [XMM0]string{
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
	"pc", "fs", "gs", "guard", "target", "mxcsr",
	"cf", "pf", "af", "zf", "sf", "of", "df",
}

// String is the register's name, which is also its import's.
func (r Reg) String() string {
	if r < XMM0 {
		return regNames[r]
	}
	return "xmm" + strconv.Itoa(int(r-XMM0))
}
