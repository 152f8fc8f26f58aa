package machine

import (
	"encoding/binary"
	"strings"
)

// feature is a bit of CPUID by which programs learn what the processor can do,
// with its name in /proc/cpuinfo.
type feature struct {
	key  cpuidKey
	reg  int // 0…3: eax ebx ecx edx
	bit  int
	name string
}

var leaf1, leafExt = cpuidKey{1, 0}, cpuidKey{0x80000001, 0}

// Registers of a leaf.
const (
	eax = iota
	ebx
	ecx
	edx
)

// announced is all that CPUID announces: x86-64-v2 and what else the
// differential tests cover (docs/instructions.md). AES and PCLMULQDQ are covered
// too, but slower than what libraries do without them.
var announced = []feature{
	{leaf1, edx, 0, "fpu"}, {leaf1, edx, 4, "tsc"}, {leaf1, edx, 8, "cx8"}, {leaf1, edx, 11, "sep"}, {leaf1, edx, 15, "cmov"}, {leaf1, edx, 19, "clflush"},
	{leaf1, edx, 23, "mmx"}, {leaf1, edx, 24, "fxsr"}, {leaf1, edx, 25, "sse"}, {leaf1, edx, 26, "sse2"},
	{leafExt, edx, 11, "syscall"}, {leafExt, edx, 20, "nx"}, {leafExt, edx, 27, "rdtscp"}, {leafExt, edx, 29, "lm"},
	{leaf1, ecx, 0, "pni"}, {leaf1, ecx, 9, "ssse3"}, {leaf1, ecx, 13, "cx16"}, {leaf1, ecx, 19, "sse4_1"}, {leaf1, ecx, 20, "sse4_2"},
	{leaf1, ecx, 22, "movbe"}, {leaf1, ecx, 23, "popcnt"}, {leafExt, ecx, 0, "lahf_lm"}, {leafExt, ecx, 8, "3dnowprefetch"},
}

// CPUFlags are the features as /proc/cpuinfo lists them.
func CPUFlags() string {
	names := make([]string, len(announced))
	for i, f := range announced {
		names[i] = f.name
	}
	return strings.Join(names, " ")
}

// HWCap is the auxiliary vector's AT_HWCAP: CPUID.1:EDX.
func HWCap() uint32 { return featureBits(leaf1, edx) }

// featureBits is register reg of leaf key.
func featureBits(key cpuidKey, reg int) (bits uint32) {
	for _, f := range announced {
		if f.key == key && f.reg == reg {
			bits |= 1 << f.bit
		}
	}
	return bits
}

// signature is family 6, model 0x1a, stepping 5: Nehalem, which is
// x86-64-v2. glibc knows it as one where unaligned loads are fast.
const signature = 0x000106a5

// cpuidKey is a leaf and a subleaf.
type cpuidKey struct{ leaf, sub uint32 }

// cpuidRegs is eax, ebx, ecx, edx.
type cpuidRegs [4]uint32

// brand fills the 48 bytes of leaves 0x80000002 to 4.
const brand = "Megabinary WebAssembly processor\x00"

// cpuidTable holds what isn't zero.
var cpuidTable = map[cpuidKey]cpuidRegs{
	{0, 0}: {7, word("Genu"), word("ntel"), word("ineI")},
	leaf1:  {signature, 1<<16 | 8<<8, featureBits(leaf1, ecx), featureBits(leaf1, edx)}, // one logical processor, clflush of 8·8 bytes
	{2, 0}: {0x00feff01, 0, 0, 0},                                                       // descriptor 0xff: see leaf 4
	{4, 0}: cacheLeaf(cacheData, 1, 8, 64),
	{4, 1}: cacheLeaf(cacheCode, 1, 8, 64),
	{4, 2}: cacheLeaf(cacheUnified, 2, 16, 1024),
	{4, 3}: cacheLeaf(cacheUnified, 3, 16, 16384),

	{0x80000000, 0}: {0x80000008, 0, 0, 0},
	leafExt:         {0, 0, featureBits(leafExt, ecx), featureBits(leafExt, edx)},
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

// Cache is a cache that CPUID announces.
type Cache struct {
	Type              string // "Data", "Instruction" or "Unified"
	Level, Ways, Sets int
	Line              int // bytes
}

// Caches are those of a processor.
func Caches() (list []Cache) {
	for sub := uint32(0); ; sub++ {
		r, ok := cpuidTable[cpuidKey{4, sub}]
		if !ok {
			return list
		}
		list = append(list, Cache{
			Type:  [...]string{cacheData: "Data", cacheCode: "Instruction", cacheUnified: "Unified"}[r[eax]&31],
			Level: int(r[eax] >> 5 & 7), Ways: int(r[ebx]>>22) + 1, Sets: int(r[ecx]) + 1, Line: int(r[ebx]&0xfff) + 1,
		})
	}
}

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
