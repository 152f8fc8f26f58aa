package machine

import "encoding/binary"

// The processor that guests see: x86-64-v1 and no more, as that is what the
// translator's tests cover. Names of bits are those of the Intel SDM, volume
// 2, CPUID.
const (
	edxFPU  = 1 << 0
	edxTSC  = 1 << 4
	edxCX8  = 1 << 8
	edxSEP  = 1 << 11
	edxCMOV = 1 << 15
	edxMMX  = 1 << 23
	edxFXSR = 1 << 24
	edxSSE  = 1 << 25
	edxSSE2 = 1 << 26

	extSYSCALL = 1 << 11
	extNX      = 1 << 20
	extLM      = 1 << 29

	signature = 0x000006fb // family 6, model 15, stepping 11: before SSE4
)

// cpuidKey is a leaf and a subleaf.
type cpuidKey struct{ leaf, sub uint32 }

// cpuidRegs is eax, ebx, ecx, edx.
type cpuidRegs [4]uint32

// brand fills the 48 bytes of leaves 0x80000002 to 4.
const brand = "Megabinary WebAssembly processor\x00"

// cpuidTable holds what isn't zero.
var cpuidTable = map[cpuidKey]cpuidRegs{
	{0, 0}: {7, word("Genu"), word("ntel"), word("ineI")},
	{1, 0}: {signature, 1 << 16, 0, // one logical processor
		edxFPU | edxTSC | edxCX8 | edxSEP | edxCMOV | edxMMX | edxFXSR | edxSSE | edxSSE2},
	{2, 0}: {0x00feff01, 0, 0, 0}, // descriptor 0xff: see leaf 4
	{4, 0}: cacheLeaf(cacheData, 1, 8, 64),
	{4, 1}: cacheLeaf(cacheCode, 1, 8, 64),
	{4, 2}: cacheLeaf(cacheUnified, 2, 16, 1024),
	{4, 3}: cacheLeaf(cacheUnified, 3, 16, 16384),

	{0x80000000, 0}: {0x80000008, 0, 0, 0},
	{0x80000001, 0}: {0, 0, 0, extSYSCALL | extNX | extLM},
	{0x80000002, 0}: brandLeaf(0),
	{0x80000003, 0}: brandLeaf(16),
	{0x80000004, 0}: brandLeaf(32),
	{0x80000008, 0}: {48<<8 | 40, 0, 0, 0}, // address bits, linear and physical
}

// Cache types of leaf 4.
const (
	cacheData    = 1
	cacheCode    = 2
	cacheUnified = 3
)

// cacheLeaf describes a cache of 64-byte lines.
func cacheLeaf(kind, level, ways, sets uint32) cpuidRegs {
	const selfInitializing, lineSize = 1 << 8, 64
	return cpuidRegs{kind | level<<5 | selfInitializing, lineSize - 1 | (ways-1)<<22, sets - 1, 0}
}

// brandLeaf is 16 bytes of the brand string.
func brandLeaf(at int) (r cpuidRegs) {
	var s [48]byte
	copy(s[:], brand)
	for i := range r {
		r[i] = binary.LittleEndian.Uint32(s[at+4*i:])
	}
	return r
}

func word(s string) uint32 { return binary.LittleEndian.Uint32([]byte(s)) }

// cpuid returns eax|ebx<<32 and ecx|edx<<32. Leaves without subleaves ignore
// ecx; those beyond the highest are zero.
func cpuid(leaf, sub uint32) (uint64, uint64) {
	if leaf != 4 {
		sub = 0
	}
	r := cpuidTable[cpuidKey{leaf, sub}]
	return uint64(r[0]) | uint64(r[1])<<32, uint64(r[2]) | uint64(r[3])<<32
}
