package disasm

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/megabin/megabin/converter/elf"
)

func hostFiles() []string {
	if s := os.Getenv("DISASM_FILES"); s != "" {
		return strings.Fields(s)
	}
	return []string{
		"/bin/bash", "/bin/ls", "/bin/sort", "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2",
	}
}

func analyzeFile(t *testing.T, name string) *Program {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Skip(err)
	}
	f, err := elf.Parse(name, data)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	p, err := Analyze(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(time.Since(start))
	return p
}

func TestHost(t *testing.T) {
	for _, name := range hostFiles() {
		t.Run(name, func(t *testing.T) {
			p := analyzeFile(t, name)
			checkProgram(t, p)
			report(t, p)
		})
	}
}

func report(t *testing.T, p *Program) {
	st := p.Stats
	var dup, partial, partialInsts, taken int
	for _, f := range p.Funcs {
		if f.AddressTaken {
			taken++
		}
		for _, b := range f.Blocks {
			dup += len(b.Insts)
			if f.Partial {
				partialInsts += len(b.Insts)
			}
		}
		if f.Partial {
			partial++
		}
	}
	t.Logf("functions %d (taken %d, partial %d: %d insts), instructions %d (with copies %d), code %d of %d bytes, switches %d, unresolved %d, undecodable %d",
		st.Functions, taken, partial, partialInsts, st.Instructions, dup, st.CodeBytes, st.ExecutableBytes, st.Switches, len(st.Unresolved), len(st.Undecodable))
	t.Logf("unresolved %#x", st.Unresolved[:min(40, len(st.Unresolved))])
	for _, s := range st.Undecodable[:min(10, len(st.Undecodable))] {
		t.Logf("undecodable %#x %s", s.Addr, s.Reason)
	}
	missing(t, p)
}

// missing logs the code bytes that are not covered.
func missing(t *testing.T, p *Program) {
	cov := make([]bool, len(p.File.Data))
	for _, s := range p.Covered() {
		for i := s.Start; i < s.End; i++ {
			cov[i] = true
		}
	}
	for _, s := range p.File.Sections {
		if !s.Executable {
			continue
		}
		b := p.File.Bytes(s.Addr)[:s.Size]
		off0 := uint64(len(p.File.Data)) // file offset of section
		for _, g := range p.File.Segments {
			if s.Addr-g.Vaddr < g.Filesz {
				off0 = g.Off + s.Addr - g.Vaddr
			}
		}
		var miss, runs int
		im := &discovery{image: newImage(p.File)}
		r, ro := im.region(s.Addr)
		for i := 0; i < len(b); {
			if cov[off0+uint64(i)] {
				i++
				continue
			}
			if n := im.padding(r, int(ro)+i); n > 0 {
				i += n
				continue
			}
			st := i
			for i < len(b) && !cov[off0+uint64(i)] {
				i++
			}
			miss += i - st
			runs++
			if runs < 15 {
				t.Logf("missed %s %#x+%d: % x", s.Name, s.Addr+uint64(st), i-st, b[st:min(st+16, i)])
			}
		}
		t.Logf("%s: %d of %d bytes missed in %d places", s.Name, miss, len(b), runs)
	}
}

// checkProgram checks what the types promise.
func checkProgram(t *testing.T, p *Program) {
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

func checkFunc(t *testing.T, f *Func, entries map[uint64]bool) {
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
		checkTerm(t, f, b, entries)
	}
}

func checkTerm(t *testing.T, f *Func, b *Block, entries map[uint64]bool) {
	succs := map[TermKind]int{Fallthrough: 1, Jump: 1, CondJump: 2, CondTail: 1}
	switch k := b.Term.Kind; k {
	case Fallthrough, Jump, CondJump, CondTail, Ret, TailCall, Halt:
		if len(b.Term.Succs) != succs[k] {
			t.Errorf("%#x: block %#x: kind %d has %d successors", f.Entry, b.Addr, k, len(b.Term.Succs))
		}
	}
	if k := b.Term.Kind; (k == TailCall || k == CondTail) && !entries[b.Term.Target] {
		t.Errorf("%#x: block %#x: tail call to %#x, which is no function", f.Entry, b.Addr, b.Term.Target)
	}
	if b.Term.Kind == SwitchJump && (b.Term.Switch.LoadBlock == nil || b.Term.Switch.Load >= len(b.Term.Switch.LoadBlock.Insts)) {
		t.Errorf("%#x: block %#x: switch without a load", f.Entry, b.Addr)
	}
}
