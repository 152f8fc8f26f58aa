// Package loader turns an ELF file into a process image, as Linux'
// fs/binfmt_elf.c and fs/exec.c do: it reads headers, maps segments into an
// mm.MM and builds the initial stack of the System V ABI. It knows nothing of
// tasks, paths, or whether a file may run: that is the mm's Code.
package loader

import (
	"encoding/binary"
	"io"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/mm"
)

// ELF constants of the gABI; debug/elf is the converter's.
const (
	headerSize    = 64
	phentSize     = 56
	maxPhdrBytes  = 65536
	typeExec      = 2
	typeDyn       = 3
	machineX86_64 = 62

	ptLoad   = 1
	ptInterp = 3
	ptPhdr   = 6

	flagX = 1
	flagW = 2
	flagR = 4
)

// Segment is a program header; sizes and offsets are in bytes.
type Segment struct {
	Type, Flags   uint32
	Off           uint64
	Vaddr         uint64
	Filesz, Memsz uint64
	Align         uint64
}

// Header is what the kernel reads of an ELF file.
type Header struct {
	Dyn      bool // ET_DYN: position independent
	Entry    uint64
	PhOff    uint64
	Segments []Segment
	Interp   string // PT_INTERP, or ""
}

// ReadHeader reads and validates the headers. Every defect is ENOEXEC.
func ReadHeader(r io.ReaderAt) (*Header, error) {
	var raw [headerSize]byte
	if err := readFull(r, raw[:], 0); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	kind := le.Uint16(raw[16:])
	count := int(le.Uint16(raw[56:]))
	switch {
	case string(raw[:4]) != "\x7fELF" || raw[4] != 2 || raw[5] != 1,
		kind != typeExec && kind != typeDyn,
		le.Uint16(raw[18:]) != machineX86_64,
		le.Uint16(raw[54:]) != phentSize,
		count == 0 || count*phentSize > maxPhdrBytes:
		return nil, unix.ENOEXEC
	}
	h := &Header{Dyn: kind == typeDyn, Entry: le.Uint64(raw[24:]), PhOff: le.Uint64(raw[32:])}
	if err := h.readSegments(r, count); err != nil {
		return nil, err
	}
	return h, h.readInterp(r)
}

func (h *Header) readSegments(r io.ReaderAt, count int) error {
	raw := make([]byte, count*phentSize)
	if err := readFull(r, raw, h.PhOff); err != nil {
		return err
	}
	le := binary.LittleEndian
	for ; len(raw) > 0; raw = raw[phentSize:] {
		s := Segment{
			Type: le.Uint32(raw), Flags: le.Uint32(raw[4:]), Off: le.Uint64(raw[8:]), Vaddr: le.Uint64(raw[16:]),
			Filesz: le.Uint64(raw[32:]), Memsz: le.Uint64(raw[40:]), Align: le.Uint64(raw[48:]),
		}
		if s.Type == ptLoad && !s.valid() {
			return unix.ENOEXEC
		}
		h.Segments = append(h.Segments, s)
	}
	return nil
}

// valid checks what mapping a PT_LOAD relies on.
func (s *Segment) valid() bool {
	const limit = mm.TaskSize
	return s.Filesz <= s.Memsz && s.Memsz <= limit && s.Vaddr <= limit && s.Vaddr+s.Memsz <= limit &&
		s.Off <= 1<<62 && s.Off%mm.PageSize == s.Vaddr%mm.PageSize
}

// readInterp takes the path of the first PT_INTERP.
func (h *Header) readInterp(r io.ReaderAt) error {
	for _, s := range h.Segments {
		if s.Type != ptInterp {
			continue
		}
		if s.Filesz < 2 || s.Filesz > unix.PathMax {
			return unix.ENOEXEC
		}
		path := make([]byte, s.Filesz)
		if err := readFull(r, path, s.Off); err != nil {
			return err
		}
		if path[len(path)-1] != 0 {
			return unix.ENOEXEC
		}
		h.Interp = unix.ByteSliceToString(path)
		return nil
	}
	return nil
}

// span is the page-aligned range of addresses that all PT_LOADs cover, before
// any load bias, and the largest alignment asked for.
func (h *Header) span() (start, end, align uint64, err error) {
	start, align = ^uint64(0), mm.PageSize
	for _, s := range h.Segments {
		if s.Type != ptLoad {
			continue
		}
		start = min(start, mm.PageDown(s.Vaddr))
		end = max(end, mm.PageUp(s.Vaddr+s.Memsz))
		if s.Align&(s.Align-1) == 0 && s.Align <= maxAlign {
			align = max(align, s.Align)
		}
	}
	if start >= end {
		return 0, 0, 0, unix.ENOEXEC
	}
	return start, end, align, nil
}

// maxAlign bounds p_align so that a hostile file cannot ask for the moon.
const maxAlign = 1 << 28

// phdrAddr is the address of the program headers in memory, without load
// bias: AT_PHDR. 0 if no segment holds them.
func (h *Header) phdrAddr() uint64 {
	for _, s := range h.Segments {
		if s.Type == ptPhdr {
			return s.Vaddr
		}
	}
	for _, s := range h.Segments {
		if s.Type == ptLoad && s.Off <= h.PhOff && h.PhOff < s.Off+s.Filesz {
			return h.PhOff - s.Off + s.Vaddr
		}
	}
	return 0
}

// readFull reads len(p) bytes at off; a short file is ENOEXEC.
func readFull(r io.ReaderAt, p []byte, off uint64) error {
	for len(p) > 0 {
		if off > 1<<62 {
			return unix.ENOEXEC
		}
		n, err := r.ReadAt(p, int64(off))
		if n == 0 {
			if err != nil && err != io.EOF {
				return err
			}
			return unix.ENOEXEC
		}
		p, off = p[n:], off+uint64(n)
	}
	return nil
}
