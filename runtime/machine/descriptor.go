package machine

import "github.com/megabin/megabin/layers/abi"

// descriptor is what user programs can see of a segment descriptor.
type descriptor struct {
	rights   uint32 // as lar gives them
	limit    uint32
	writable bool // data; otherwise readable only
}

// descriptors are those of Linux's GDT for user programs, by selector without
// the requested privilege level (arch/x86/include/asm/segment.h).
var descriptors = map[uint16]descriptor{
	0x20: {0xcffb00, 0xffffffff, false}, // 32-bit code
	0x28: {0xcff300, 0xffffffff, true},  // data
	0x30: {0xaffb00, 0xffffffff, false}, // 64-bit code
	0x78: {0x40f500, 0, false},          // the limit is the processor's number
}

// What HelperDescriptor says of a descriptor.
const (
	descExists = 1 << iota
	descReadable
	descWritable
)

func lookupDescriptor(_ *CPU, sel, _, _ uint64) (uint64, uint64) {
	d, ok := descriptors[uint16(sel)&^3]
	if !ok {
		return 0, 0
	}
	kind := uint64(descExists | descReadable)
	if d.writable {
		kind |= descWritable
	}
	return uint64(d.rights) | uint64(d.limit)<<32, kind
}

// Segment registers as HelperLoadSegment numbers them.
const (
	segSS = 2
	segFS = 4
	segGS = 5
)

// loadSegment checks what a load of a segment register checks. Bases are zero
// in 64-bit mode; those of fs and gs become so.
func loadSegment(c *CPU, sel, seg, _ uint64) (uint64, uint64) {
	d, ok := descriptors[uint16(sel)&^3]
	null := uint16(sel)&^3 == 0
	if !ok && !null || seg == segSS && (null || !d.writable || sel&3 != 3) {
		c.fault(SEGV, 0, "general protection")
		c.unwind()
	}
	switch seg {
	case segFS:
		c.SetReg(abi.FS, uint64(linear(0)))
	case segGS:
		c.SetReg(abi.GS, uint64(linear(0)))
	}
	return 0, 0
}
