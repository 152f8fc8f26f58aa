// Package carrier says what stays at the place of a recompiled ELF: the same
// file with its recompiled code zeroed, and at its entry, should a processor
// ever start it, a few instructions that say how the image is run and exit
// with status 126. A carrier is a function of the file and of its unit's
// metadata (docs/formats.md), so that whoever has both can check it.
package carrier

import (
	"encoding/binary"
	"slices"

	"github.com/megabin/megabin/layers/tarfs"
	"github.com/megabin/megabin/layers/unit"
)

// Message is what a carrier says when a processor runs it.
const Message = "This image is recompiled to WebAssembly: run it with `megabin run IMAGE`.\n"

// Status is what it exits with: not executable, as shells and docker say it.
const Status = 126

// stub is the instructions, then the message.
var stub = append([]byte{
	0x6a, 0x01, 0x58, // push 1; pop rax: write
	0x6a, 0x02, 0x5f, // push 2; pop rdi: standard error
	0x48, 0x8d, 0x35, 13, 0, 0, 0, // lea rsi, [rip+13]: the message
	0x6a, byte(len(Message)), 0x5a, // push; pop rdx
	0x0f, 0x05, // syscall
	0x6a, 60, 0x58, // push 60; pop rax: exit
	0x6a, Status, 0x5f, // push; pop rdi
	0x0f, 0x05, // syscall
}, Message...)

// sizeJump is the size of a jmp rel32.
const sizeJump = 5

// Edits are the ranges of a stream in which the carrier differs from the
// original, which begins at an offset in the stream. They ascend.
func Edits(m *unit.Meta, at int64) []tarfs.Edit {
	inserts := inserts(m)
	var list []tarfs.Edit
	for _, s := range m.Covered {
		list = appendSpan(list, s, inserts, at)
	}
	return list
}

// insert is bytes of ours at an offset in the file, inside one covered span.
type insert struct {
	off  uint64
	with []byte
}

func (i insert) end() uint64 { return i.off + uint64(len(i.with)) }

// appendSpan adds a covered span: zeros, and what is inserted in it.
func appendSpan(list []tarfs.Edit, s unit.Span, inserts []insert, at int64) []tarfs.Edit {
	add := func(from, to uint64, with []byte) {
		if from < to {
			list = append(list, tarfs.Edit{Range: tarfs.Range{Off: at + int64(from), Size: int64(to - from)}, With: with})
		}
	}
	pos, end := s.Off, s.Off+s.Size
	for _, i := range inserts {
		if i.off >= pos && i.off < end {
			add(pos, i.off, nil)
			add(i.off, i.end(), i.with)
			pos = i.end()
		}
	}
	add(pos, end, nil)
	return list
}

// inserts are a jump at the entry and, where the first covered span of the
// same segment has room, the stub; none if an ELF has no entry or no room.
func inserts(m *unit.Meta) []insert {
	if m.Entry == 0 {
		return nil
	}
	for _, x := range m.Exec {
		if m.Entry < x.Off || uint64(m.Entry-x.Off) >= x.Size {
			continue
		}
		entry := x.FileOff + uint64(m.Entry-x.Off)
		to, ok := room(m, x, entry)
		if !ok {
			return nil
		}
		jump := binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(to-(entry+sizeJump)))
		list := []insert{{entry, jump}, {to, stub}}
		slices.SortFunc(list, func(a, b insert) int {
			if a.off < b.off {
				return -1
			}
			return 1
		})
		return list
	}
	return nil
}

// room finds the place of the stub, given that of the jump.
func room(m *unit.Meta, x unit.ExecSpan, entry uint64) (to uint64, ok bool) {
	need := uint64(len(stub))
	jumpFits := false
	for _, s := range m.Covered {
		from, end := s.Off, s.Off+s.Size
		if from < x.FileOff || end > x.FileOff+x.Size {
			continue
		}
		if from <= entry && entry+sizeJump <= end {
			jumpFits = true
		}
		for _, g := range gaps(from, end, entry) {
			if !ok && g.Size >= need {
				to, ok = g.Off, true
			}
		}
	}
	return to, ok && jumpFits
}

// gaps are what is left of a span beside the jump.
func gaps(from, end, entry uint64) []unit.Span {
	if entry+sizeJump <= from || entry >= end {
		return []unit.Span{{Off: from, Size: end - from}}
	}
	var list []unit.Span
	if from < entry {
		list = append(list, unit.Span{Off: from, Size: entry - from})
	}
	if entry+sizeJump < end {
		list = append(list, unit.Span{Off: entry + sizeJump, Size: end - entry - sizeJump})
	}
	return list
}
