package disasm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/elf"
	"github.com/megabin/megabin/converter/x86"
)

// hostFiles are analysed by most tests; DISASM_FILES names others.
func hostFiles() []string {
	if s := os.Getenv("DISASM_FILES"); s != "" {
		return strings.Fields(s)
	}
	return []string{
		"/bin/bash", "/bin/ls", "/bin/sort", "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2",
		"/usr/lib/x86_64-linux-gnu/libstdc++.so.6", "/usr/bin/python3",
	}
}

func analyze(t testing.TB, name string) *Program {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Skip(err)
	}
	return analyzeBytes(t, name, data)
}

func analyzeBytes(t testing.TB, name string, data []byte) *Program {
	f, err := elf.Parse(name, data)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Analyze(f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestHostFiles(t *testing.T) {
	for _, name := range hostFiles() {
		t.Run(name, func(t *testing.T) {
			p := analyze(t, name)
			checkProgram(t, p)
			checkKnownFunctions(t, p)
			checkCoverage(t, p)
			st := p.Stats
			t.Logf("%d functions, %d instructions, %d of %d bytes, %d switches, %d indirect jumps unresolved, %d spots undecodable",
				st.Functions, st.Instructions, st.CodeBytes, st.ExecutableBytes, st.Switches, len(st.Unresolved), len(st.Undecodable))
			if len(st.Undecodable) > 0 {
				t.Errorf("undecodable: %#x", st.Undecodable)
			}
		})
	}
}

// checkKnownFunctions: what the file says is a function is code of some Func.
func checkKnownFunctions(t *testing.T, p *Program) {
	starts := map[uint64]bool{}
	for _, f := range p.Funcs {
		for _, b := range f.Blocks {
			starts[b.Addr] = true
		}
	}
	for _, fde := range p.File.FDEs {
		if !starts[fde.Start] {
			t.Errorf("FDE start %#x is in no function", fde.Start)
		}
	}
	for _, s := range p.File.Symbols {
		if !starts[s.Addr] {
			t.Errorf("%s at %#x is in no function", s.Name, s.Addr)
		}
	}
}

// checkCoverage: at least 99 % of the bytes of executable sections that are
// no filler belong to instructions, and no byte of another section does.
func checkCoverage(t *testing.T, p *Program) {
	covered := make([]bool, len(p.File.Data))
	for _, s := range p.Covered() {
		for i := s.Start; i < s.End; i++ {
			covered[i] = true
		}
	}
	m := newImage(p.File, everywhere)
	d := &discovery{image: m}
	code, missed := 0, 0
	for _, s := range p.File.Sections {
		r, off := m.region(s.Addr)
		if r == nil {
			continue
		}
		at := len(p.File.Data) - len(p.File.Bytes(s.Addr)) - (len(p.File.Data) - fileEnd(p.File, s.Addr))
		for i := 0; i < int(s.Size); i++ {
			switch {
			case covered[at+i] && !s.Executable:
				t.Fatalf("%#x in section %s is taken for code", s.Addr+uint64(i), s.Name)
			case covered[at+i]:
				code++
			case s.Executable:
				if n := d.padding(r, int(off)+i); n > 0 {
					i += n - 1
				} else {
					missed++
				}
			}
		}
	}
	if missed*100 > code {
		t.Errorf("%d bytes are not covered, %d are", missed, code)
	}
}

// fileEnd is the file offset at which the segment that holds addr ends.
func fileEnd(f *elf.File, addr uint64) int {
	for _, s := range f.Segments {
		if addr-s.Vaddr < s.Filesz {
			return int(s.Off + s.Filesz)
		}
	}
	return 0
}

// checkProgram checks what the types promise.
func checkProgram(t testing.TB, p *Program) {
	entries := map[uint64]bool{}
	for i, f := range p.Funcs {
		if i > 0 && p.Funcs[i-1].Entry >= f.Entry {
			t.Errorf("functions %#x, %#x out of order", p.Funcs[i-1].Entry, f.Entry)
		}
		entries[f.Entry] = true
	}
	for _, f := range p.Funcs {
		checkFunc(t, f, entries)
	}
}

func checkFunc(t testing.TB, f *Func, entries map[uint64]bool) {
	in := map[*Block]bool{}
	for i, b := range f.Blocks {
		in[b] = true
		if i > 1 && f.Blocks[i-1].Addr > b.Addr {
			t.Errorf("%#x: blocks out of order", f.Entry)
		}
	}
	if f.Blocks[0].Addr != f.Entry {
		t.Errorf("%#x: first block is %#x", f.Entry, f.Blocks[0].Addr)
	}
	for _, b := range f.Blocks {
		at := b.Addr
		for k := range b.Insts {
			if b.Insts[k].Addr != at {
				t.Errorf("%#x: block %#x: instruction %d at %#x", f.Entry, b.Addr, k, b.Insts[k].Addr)
			}
			at = b.Insts[k].Next()
		}
		if at != b.End {
			t.Errorf("%#x: block %#x ends at %#x, not %#x", f.Entry, b.Addr, at, b.End)
		}
		for _, s := range b.Term.Succs {
			if !in[s] {
				t.Errorf("%#x: block %#x leads to %#x outside the function", f.Entry, b.Addr, s.Addr)
			}
		}
		if err := checkTerm(b, entries); err != nil {
			t.Errorf("%#x: block %#x: %v", f.Entry, b.Addr, err)
		}
	}
}

func checkTerm(b *Block, entries map[uint64]bool) error {
	term := &b.Term
	succs := map[TermKind]int{Fallthrough: 1, Jump: 1, CondJump: 2, CondTail: 1}
	switch term.Kind {
	case IndirectJump:
		return nil
	case SwitchJump:
		s := term.Switch
		if s == nil || s.LoadBlock == nil || s.Load >= len(s.LoadBlock.Insts) || s.Index == 0 {
			return fmt.Errorf("switch without a load")
		}
		for _, a := range s.LoadBlock.Insts[s.Load].Args {
			if m, ok := a.(x86asm.Mem); ok && m.Index == s.Index {
				return nil
			}
		}
		return fmt.Errorf("index %v is not in the load", s.Index)
	case TailCall, CondTail:
		if !entries[term.Target] {
			return fmt.Errorf("tail call to %#x, which is no function", term.Target)
		}
	}
	if len(term.Succs) != succs[term.Kind] {
		return fmt.Errorf("kind %d has %d successors", term.Kind, len(term.Succs))
	}
	return nil
}

// TestDirectFlow compares each direct transfer with where its instruction
// goes.
func TestDirectFlow(t *testing.T) {
	for _, f := range analyze(t, "/bin/bash").Funcs {
		for _, b := range f.Blocks {
			if len(b.Insts) == 0 {
				continue
			}
			last := &b.Insts[len(b.Insts)-1]
			rel, ok := last.Args[0].(x86asm.Rel)
			if !ok || last.Op == x86asm.CALL {
				continue
			}
			to := last.Next() + uint64(int64(rel))
			switch got := b.Term; got.Kind {
			case Jump, CondJump:
				if got.Succs[0].Addr != to || got.Kind == CondJump && got.Succs[1].Addr != last.Next() {
					t.Errorf("%#x goes to %#x, not %#x", last.Addr, to, got.Succs[0].Addr)
				}
			case TailCall, CondTail:
				if got.Target != to || got.Kind == CondTail && got.Succs[0].Addr != last.Next() {
					t.Errorf("%#x goes to %#x, not %#x", last.Addr, to, got.Target)
				}
			default:
				t.Errorf("%#x: %v ends a block of kind %d", last.Addr, last.Inst, got.Kind)
			}
		}
	}
}

// TestBashTables: every indirect jump of bash that pops nothing before it
// reads a table; the others are tail calls through pointers.
func TestBashTables(t *testing.T) {
	p := analyze(t, "/bin/bash")
	if p.Stats.Switches < 40 {
		t.Errorf("%d jump tables", p.Stats.Switches)
	}
	open := map[uint64]bool{}
	for _, a := range p.Stats.Unresolved {
		open[a] = true
	}
	for _, f := range p.Funcs {
		for _, b := range f.Blocks {
			for i := range b.Insts {
				if in := &b.Insts[i]; i > 0 && open[in.Addr] && b.Insts[i-1].Op == x86asm.ADD && b.Insts[i-1].Args[0] == in.Args[0] {
					t.Errorf("jump table at %#x is not resolved", in.Addr)
				}
			}
		}
	}
}

func TestDeterministic(t *testing.T) {
	for _, name := range []string{"/bin/ls", "/lib64/ld-linux-x86-64.so.2"} {
		if a, b := dump(analyze(t, name)), dump(analyze(t, name)); a != b {
			t.Errorf("%s: two analyses differ", name)
		}
	}
}

func dump(p *Program) string {
	var s strings.Builder
	for _, f := range p.Funcs {
		fmt.Fprintf(&s, "%#x %s %v %v\n", f.Entry, f.Name, f.AddressTaken, f.Partial)
		for _, b := range f.Blocks {
			fmt.Fprintf(&s, "  %#x–%#x %d %#x %s", b.Addr, b.End, b.Term.Kind, b.Term.Target, b.Term.Err)
			for _, x := range b.Term.Succs {
				fmt.Fprintf(&s, " %#x", x.Addr)
			}
			s.WriteByte('\n')
		}
	}
	fmt.Fprintln(&s, p.Stats, p.Covered())
	return s.String()
}

// TestWithoutMetadata takes section headers and unwind tables away: nearly
// the same instructions must be found.
func TestWithoutMetadata(t *testing.T) {
	for _, name := range []string{"/bin/ls", "/bin/bash"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Skip(err)
		}
		full := analyzeBytes(t, name, data)
		f, err := elf.Parse(name, withoutSections(data))
		if err != nil {
			t.Fatal(err)
		}
		f.FDEs, f.Symbols = nil, nil
		p, err := Analyze(f)
		if err != nil {
			t.Fatal(err)
		}
		checkProgram(t, p)
		common, extra := compareInsts(p, full)
		if common*100 < full.Stats.Instructions*97 || extra*1000 > common {
			t.Errorf("%s: %d of %d instructions found, and %d that are none", name, common, full.Stats.Instructions, extra)
		}
	}
}

func withoutSections(data []byte) []byte {
	data = bytes.Clone(data)
	clear(data[40:48])
	clear(data[60:64])
	return data
}

// compareInsts counts p's instructions that want has too, and those that lie
// out of step with them.
func compareInsts(p, want *Program) (common, extra int) {
	known := instructions(want)
	inside := map[uint64]bool{}
	for a, n := range known {
		for i := 1; i < n; i++ {
			inside[a+uint64(i)] = true
		}
	}
	for a := range instructions(p) {
		switch {
		case known[a] > 0:
			common++
		case inside[a]:
			extra++
		}
	}
	return common, extra
}

func instructions(p *Program) map[uint64]int {
	m := map[uint64]int{}
	for _, f := range p.Funcs {
		for _, b := range f.Blocks {
			for i := range b.Insts {
				m[b.Insts[i].Addr] = b.Insts[i].Len
			}
		}
	}
	return m
}

// TestOverlap: a jump past a lock prefix gives two decodings of the bytes.
func TestOverlap(t *testing.T) {
	code := "\x74\x01\xf0\x0f\xb1\x0f\xc3" // je 1f; lock; 1: cmpxchg [rdi], ecx; ret
	p := programOf(code)
	checkProgram(t, p)
	ops := map[uint64]x86asm.Op{}
	for _, b := range p.Funcs[0].Blocks {
		for _, in := range b.Insts {
			ops[in.Addr-0x1000] = in.Op
		}
	}
	want := map[uint64]x86asm.Op{0: x86asm.JE, 2: x86asm.CMPXCHG, 3: x86asm.CMPXCHG, 6: x86asm.RET}
	if fmt.Sprint(ops) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", ops, want)
	}
	if p.Stats.CodeBytes != 7 {
		t.Errorf("%d bytes covered", p.Stats.CodeBytes)
	}
}

// TestPieces divides a function of much code, which jumps over all of itself.
func TestPieces(t *testing.T) {
	const unit, units = 16, 40000
	var code []byte
	for i := range units {
		to := i * 7919 % units * unit
		code = append(code, "\x48\x85\xc0\x0f\x84"...) // test rax, rax; je to
		code = binary.LittleEndian.AppendUint32(code, uint32(to-len(code)-4))
		code = append(code, "\x48\x8d\x44\x38\x01\x90\x90"...) // lea rax, [rax+rdi+1]; nop; nop
	}
	code = append(code, 0xc3)
	p := programOf(string(code))
	checkProgram(t, p)
	found := map[uint64]bool{}
	for _, f := range p.Funcs {
		size := uint64(0)
		for _, b := range f.Blocks {
			size += b.End - b.Addr
			for i := range b.Insts {
				found[b.Insts[i].Addr] = true
			}
		}
		if size > 2*mostPiece {
			t.Errorf("%#x has %d bytes", f.Entry, size)
		}
		if f.Piece != (f.Entry != 0x1000) {
			t.Errorf("%#x: piece: %v", f.Entry, f.Piece)
		}
	}
	if want := units*5 + 1; len(found) != want {
		t.Errorf("%d instructions, want %d", len(found), want)
	}
}

// programOf analyses code that is entered at its first byte.
func programOf(code string) *Program {
	p, err := Analyze(&elf.File{
		Name: "test", Data: []byte(code), Entry: 0x1000,
		Segments: []elf.Segment{{Vaddr: 0x1000, Filesz: uint64(len(code)), Memsz: uint64(len(code)), Flags: 5}},
	})
	if err != nil {
		panic(err)
	}
	return p
}

func TestTermKinds(t *testing.T) {
	for code, want := range map[string]TermKind{
		"\xc3":         Ret,
		"\x0f\x0b":     Halt,
		"\xff\xe0":     IndirectJump,
		"\xeb\xfe":     Jump,
		"\xc3\xe2\xfe": Ret,
		"\x06":         Halt,
		"\x90":         Halt, // runs out of the segment
	} {
		blocks := programOf(code).Funcs[0].Blocks
		b := blocks[len(blocks)-1]
		if b.Term.Kind != want {
			t.Errorf("% x: kind %d, want %d", code, b.Term.Kind, want)
		}
		if (b.Term.Err != "") != (code == "\x06" || code == "\x90") {
			t.Errorf("% x: error %q", code, b.Term.Err)
		}
	}
}

// TestMutations flips bytes of a whole program: nothing may panic or promise
// what it does not keep.
func TestMutations(t *testing.T) {
	good, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Skip(err)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 150 {
		data := bytes.Clone(good)
		for range 1 + rnd.IntN(40) {
			data[rnd.IntN(len(data))] = byte(rnd.Uint32())
		}
		analyzeMutated(t, data)
	}
}

func analyzeMutated(t testing.TB, data []byte) {
	f, err := elf.Parse("mutated", data)
	if err != nil {
		return
	}
	if p, err := Analyze(f); err == nil {
		checkProgram(t, p)
	}
}

func FuzzAnalyze(f *testing.F) {
	f.Add([]byte("\x74\x01\xf0\x0f\xb1\x0f\xc3"), uint16(0))
	f.Add([]byte("\x83\xff\x02\x77\x0f\x89\xf8\x48\x8d\x15\x06\x00\x00\x00\x48\x63\x04\x82\x48\x01\xd0\xff\xe0"), uint16(3))
	f.Fuzz(func(t *testing.T, code []byte, fde uint16) {
		if len(code) == 0 || len(code) > 1<<16 {
			return
		}
		n := uint64(len(code))
		file := &elf.File{
			Name: "fuzz", Data: code, Entry: 0x1000,
			Segments: []elf.Segment{{Vaddr: 0x1000, Filesz: n, Memsz: n, Flags: 5}},
		}
		if start := uint64(fde) % n; fde != 0 {
			file.FDEs = []elf.FDE{{Start: 0x1000 + start, End: 0x1000 + n, CFAOffset: int64(fde % 16)}}
		}
		if p, err := Analyze(file); err == nil {
			checkProgram(t, p)
			for _, b := range p.Funcs[0].Blocks {
				for i := range b.Insts {
					if in := &b.Insts[i]; in.Len > x86.MaxLen {
						t.Errorf("%d bytes at %#x", in.Len, in.Addr)
					}
				}
			}
		}
	})
}
