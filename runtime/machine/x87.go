package machine

// X87 is the floating-point unit of one CPU (Options.NewX87). The operations
// are those of package abi.
type X87 interface {
	// Op does an operation. An operand that is an address is a linear one.
	Op(mem Memory, op int32, operand uint64) uint64
	// Save writes the state in FXSAVE's format: the first x87Size bytes but
	// MXCSR and its mask.
	Save(area []byte)
	// Restore reads what Save wrote.
	Restore(area []byte)
}

// Memory is linear memory as an operation of a CPU sees it.
type Memory interface {
	// Bytes returns n bytes at a linear address; out of bounds it does not
	// return: the guest faults.
	Bytes(lin uint32, n int) []byte
}

// guestMemory is the Memory of a CPU, for use in host functions.
type guestMemory struct{ cpu *CPU }

// Bytes implements Memory.
func (g guestMemory) Bytes(lin uint32, n int) []byte {
	mem := g.cpu.space.mem
	end := uint64(lin) + uint64(n)
	if end > uint64(len(mem)) {
		g.cpu.fault(SEGV, 0, "out of bounds memory access")
		panic(unwind)
	}
	return mem[lin:end:end]
}
