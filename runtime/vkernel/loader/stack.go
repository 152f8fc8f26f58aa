package loader

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/mm"
)

// Auxiliary vector types, uapi/linux/auxvec.h.
const (
	atNull        = 0
	atPhdr        = 3
	atPhent       = 4
	atPhnum       = 5
	atPagesz      = 6
	atBase        = 7
	atFlags       = 8
	atEntry       = 9
	atUID         = 11
	atEUID        = 12
	atGID         = 13
	atEGID        = 14
	atPlatform    = 15
	atHwcap       = 16
	atClktck      = 17
	atSecure      = 23
	atRandom      = 25
	atHwcap2      = 26
	atExecFn      = 31
	atMinSigStkSz = 51
)

const (
	platform = "x86_64"
	// minSigStack is the size of a signal frame with fxsave state, bytes.
	minSigStack = 1456
	clockTicks  = 100 // USER_HZ
)

// Limits of fs/exec.c.
const (
	maxArgLen   = 32 * mm.PageSize // MAX_ARG_STRLEN, with the NUL
	maxArgTotal = 2 << 20          // a quarter of the default stack
)

type auxEntry struct {
	key, value uint64
}

// auxv is the vector in the order of create_elf_tables. There is no vDSO, so
// no AT_SYSINFO_EHDR. What lies on the stack is filled in by buildStack.
func auxv(prog *Binary, main *loaded, base uint64, p Params) []auxEntry {
	var secure uint64
	if p.Secure {
		secure = 1
	}
	return []auxEntry{
		{atMinSigStkSz, minSigStack},
		{atHwcap, uint64(machine.HWCap())},
		{atPagesz, mm.PageSize},
		{atClktck, clockTicks},
		{atPhdr, main.phdr},
		{atPhent, phentSize},
		{atPhnum, uint64(len(prog.Segments))},
		{atBase, base},
		{atFlags, 0},
		{atEntry, main.entry},
		{atUID, uint64(p.UID)},
		{atEUID, uint64(p.EUID)},
		{atGID, uint64(p.GID)},
		{atEGID, uint64(p.EGID)},
		{atSecure, secure},
		{atRandom, 0},
		{atHwcap2, 0},
		{atExecFn, 0},
		{atPlatform, 0},
		{atNull, 0},
	}
}

// CheckArgs is the size check of execve: E2BIG.
func CheckArgs(argv, envp []string) error {
	total := 0
	for _, list := range [][]string{argv, envp} {
		for _, s := range list {
			if len(s)+1 > maxArgLen {
				return unix.E2BIG
			}
			if total += len(s) + 1 + 8; total > maxArgTotal {
				return unix.E2BIG
			}
		}
	}
	return nil
}

// copier is the part of an address space that buildStack writes to.
type copier interface {
	CopyOut(addr uint64, src []byte) error
}

// stackBuilder pushes downwards from the top of the stack. base is the guest
// address of data[0], which ends at mm.StackTop.
type stackBuilder struct {
	sp   uint64
	data []byte // the bytes from sp up
}

// push puts b below what is there and gives its address.
func (s *stackBuilder) push(b []byte) uint64 {
	s.sp -= uint64(len(b))
	s.chunks(b)
	return s.sp
}

func (s *stackBuilder) chunks(b []byte) {
	// data is kept reversed so that a push is an append.
	for i := len(b) - 1; i >= 0; i-- {
		s.data = append(s.data, b[i])
	}
}

func (s *stackBuilder) pushString(str string) uint64 {
	return s.push(append([]byte(str), 0))
}

// pushStrings pushes the last first, so that the first has the lowest
// address, as copy_strings does. It gives the addresses in order.
func (s *stackBuilder) pushStrings(list []string) []uint64 {
	addrs := make([]uint64, len(list))
	for i := len(list) - 1; i >= 0; i-- {
		addrs[i] = s.pushString(list[i])
	}
	return addrs
}

func (s *stackBuilder) alignTo(n uint64) {
	for s.sp%n != 0 {
		s.push([]byte{0})
	}
}

// bytes is the memory from sp to the top.
func (s *stackBuilder) bytes() []byte {
	out := make([]byte, len(s.data))
	for i, b := range s.data {
		out[len(out)-1-i] = b
	}
	return out
}

// buildStack writes strings, auxv, envp, argv and argc as fs/exec.c and
// binfmt_elf.c lay them out, and gives the stack pointer.
func buildStack(as copier, p Params, aux []auxEntry) (uint64, mm.Layout, error) {
	var layout mm.Layout
	s := &stackBuilder{sp: mm.StackTop}
	s.push(make([]byte, 8))
	fill := map[uint64]uint64{atExecFn: s.pushString(p.ExecFn)}
	layout.EnvEnd = s.sp
	envp := s.pushStrings(p.Envp)
	layout.EnvStart, layout.ArgEnd = s.sp, s.sp
	argv := s.pushStrings(p.Argv)
	layout.ArgStart = s.sp
	s.alignTo(16)
	fill[atPlatform] = s.pushString(platform)
	fill[atRandom] = s.push(p.Random[:])

	table := binary.LittleEndian.AppendUint64(nil, uint64(len(argv)))
	for _, list := range [][]uint64{argv, envp} {
		for _, addr := range list {
			table = binary.LittleEndian.AppendUint64(table, addr)
		}
		table = binary.LittleEndian.AppendUint64(table, 0)
	}
	layout.Auxv = appendAux(nil, aux, fill)
	table = append(table, layout.Auxv...)
	for (s.sp-uint64(len(table)))%16 != 0 {
		s.push([]byte{0})
	}
	layout.StartStack = s.push(table)
	return s.sp, layout, as.CopyOut(s.sp, s.bytes())
}

func appendAux(b []byte, aux []auxEntry, fill map[uint64]uint64) []byte {
	for _, e := range aux {
		if v, ok := fill[e.key]; ok {
			e.value = v
		}
		b = binary.LittleEndian.AppendUint64(b, e.key)
		b = binary.LittleEndian.AppendUint64(b, e.value)
	}
	return b
}
