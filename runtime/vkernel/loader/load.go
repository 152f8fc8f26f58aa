package loader

import (
	"io"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/mm"
)

// dynBase is where position independent programs with an interpreter go
// (ELF_ET_DYN_BASE).
const dynBase = 0x55550000

// Binary is an opened ELF file.
type Binary struct {
	*Header
	File mm.Backing
}

// File is what Open needs: contents, and something to map.
type File interface {
	io.ReaderAt
	mm.Backing
}

// Open reads the headers of f.
func Open(f File) (*Binary, error) {
	h, err := ReadHeader(f)
	if err != nil {
		return nil, err
	}
	return &Binary{Header: h, File: f}, nil
}

// loaded is where a binary came to lie.
type loaded struct {
	bias  uint64 // what was added to its addresses
	entry uint64
	phdr  uint64
	end   uint64 // end of its bss
	code  [2]uint64
}

// mapBinary maps all PT_LOAD segments of b.
func mapBinary(m *mm.MM, b *Binary, interpreter bool, by mm.Asker) (*loaded, error) {
	start, end, align, err := b.span()
	if err != nil {
		return nil, err
	}
	bias, err := chooseBias(m, b, start, end, align, interpreter)
	if err != nil {
		return nil, err
	}
	l := &loaded{bias: bias, entry: b.Entry + bias, code: [2]uint64{^uint64(0), 0}}
	if p := b.phdrAddr(); p != 0 {
		l.phdr = p + bias
	}
	for i := range b.Segments {
		if s := &b.Segments[i]; s.Type == ptLoad {
			if err := mapSegment(m, b.File, s, bias, by); err != nil {
				return nil, err
			}
			l.account(s)
		}
	}
	if l.entry < mm.MinAddr || l.entry >= mm.TaskSize {
		return nil, unix.EINVAL
	}
	return l, nil
}

func (l *loaded) account(s *Segment) {
	l.end = max(l.end, s.Vaddr+s.Memsz+l.bias)
	if s.Flags&flagX != 0 {
		l.code[0] = min(l.code[0], s.Vaddr+l.bias)
		l.code[1] = max(l.code[1], s.Vaddr+s.Filesz+l.bias)
	}
}

// chooseBias finds the load bias: none for ET_EXEC, dynBase for a PIE that has an interpreter, the
// mmap area for an interpreter and for what is run without one.
func chooseBias(m *mm.MM, b *Binary, start, end, align uint64, interpreter bool) (uint64, error) {
	if !b.Dyn {
		return 0, nil
	}
	if !interpreter && b.Interp != "" {
		return alignUp(dynBase, align) - start, nil
	}
	// Reserve with room to align, then give it back: the segments are
	// mapped over it with MAP_FIXED.
	size := end - start + align - mm.PageSize
	addr, err := m.Map(mm.Request{Len: size, Prot: unix.PROT_NONE, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS})
	if err != nil {
		return 0, err
	}
	return alignUp(addr, align) - start, m.Unmap(addr, size)
}

func alignUp(a, align uint64) uint64 { return (a + align - 1) &^ (align - 1) }

// mapSegment maps the file's part of a segment, clears the rest of its last
// page and maps zeros for the bss.
func mapSegment(m *mm.MM, file mm.Backing, s *Segment, bias uint64, by mm.Asker) error {
	start := mm.PageDown(s.Vaddr + bias)
	fileEnd := s.Vaddr + bias + s.Filesz
	end := mm.PageUp(s.Vaddr + bias + s.Memsz)
	prot := s.prot()
	mapped := start
	if s.Filesz > 0 {
		mapped = mm.PageUp(fileEnd)
		_, err := m.Map(mm.Request{
			Addr: start, Len: mapped - start, Prot: prot, Flags: unix.MAP_PRIVATE | unix.MAP_FIXED,
			File: file, Offset: int64(s.Off - (s.Vaddr - mm.PageDown(s.Vaddr))), By: by,
		})
		if err != nil {
			return err
		}
		if s.Memsz > s.Filesz && prot&unix.PROT_WRITE != 0 {
			if err := m.AS.CopyOut(fileEnd, make([]byte, mapped-fileEnd)); err != nil {
				return err
			}
		}
	}
	if end <= mapped {
		return nil
	}
	_, err := m.Map(mm.Request{
		Addr: mapped, Len: end - mapped, Prot: prot &^ unix.PROT_EXEC,
		Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED,
	})
	return err
}

func (s *Segment) prot() (prot int) {
	if s.Flags&flagR != 0 {
		prot |= unix.PROT_READ
	}
	if s.Flags&flagW != 0 {
		prot |= unix.PROT_WRITE
	}
	if s.Flags&flagX != 0 {
		prot |= unix.PROT_EXEC
	}
	return prot
}
