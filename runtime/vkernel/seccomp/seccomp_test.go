package seccomp

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// encode is an array of struct sock_filter.
func encode(list ...insn) (b []byte) {
	for _, in := range list {
		b = binary.LittleEndian.AppendUint16(b, in.code)
		b = append(b, in.jt, in.jf)
		b = binary.LittleEndian.AppendUint32(b, in.k)
	}
	return b
}

var allow = insn{code: unix.BPF_RET | unix.BPF_K, k: Allow}

// FuzzParse: what is accepted ends and stays within its memory.
func FuzzParse(f *testing.F) {
	f.Add(encode(allow))
	f.Add(encode(insn{code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, k: 60}, insn{code: unix.BPF_JMP | unix.BPF_JSET, k: 1, jt: 1}, insn{code: unix.BPF_ALU | unix.BPF_DIV | unix.BPF_X}, allow))
	f.Add(encode(insn{code: unix.BPF_ST, k: 15}, insn{code: unix.BPF_LDX | unix.BPF_MEM, k: 15}, allow))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		if p, err := Parse(raw); err == nil {
			new(State).judged(p)
		}
	})
}

// judged runs one program.
func (s *State) judged(p Program) Verdict {
	n, err := s.Add(p, nil)
	if err != nil {
		return 0
	}
	n.before = nil
	v, _ := n.Judge(Call{Nr: 1, Args: [6]uint64{1, 2, 3, 4, 5, ^uint64(0)}})
	return v
}

func TestBounds(t *testing.T) {
	big := make([]insn, MaxInsns)
	for i := range big {
		big[i] = allow
	}
	p, err := Parse(encode(big...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(encode(append(big, allow)...)); err != unix.EINVAL {
		t.Errorf("a program that is too long: %v", err)
	}
	var s *State
	n := 0
	for ; err == nil && n < 100; n++ {
		var next *State
		if next, err = s.Add(p, nil); err == nil {
			s = next
		}
	}
	if err != unix.ENOMEM || s.Counts() != [2]int{ModeFilter, 7} {
		t.Errorf("%v after %d programs; %v", err, n, s.Counts())
	}
}

// ear is a Listener.
type ear struct{ open, orphaned bool }

func (e *ear) Open() bool { return e.open }
func (e *ear) Orphaned()  { e.orphaned = true }

// TestOrphaned: a filter is used by who has it and by who has one that was
// added to it.
func TestOrphaned(t *testing.T) {
	p, err := Parse(encode(allow))
	if err != nil {
		t.Fatal(err)
	}
	e := &ear{open: true}
	first, _ := (*State)(nil).Add(p, e)
	first.Retain() // by a child
	second, _ := first.Add(p, nil)
	if _, err := second.Add(p, &ear{}); err != unix.EBUSY {
		t.Errorf("a second listener: %v", err)
	}
	first.Release()
	if e.orphaned {
		t.Error("orphaned by the child")
	}
	second.Release()
	if !e.orphaned {
		t.Error("not orphaned")
	}
}
