package translate

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/elf"
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/lift"
	"github.com/megabin/megabin/converter/opt"
)

func TestScratch(t *testing.T) {
	p := os.Getenv("ELF")
	if p == "" {
		t.Skip()
	}
	data, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	t0 := time.Now()
	u, err := ELF(context.Background(), p, data)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range u.Funcs {
		n += len(f.Body)
	}
	cov := uint64(0)
	for _, s := range u.Covered {
		cov += s.Size
	}
	fmt.Println(p, "funcs", len(u.Funcs), "parts", u.NumParts(), "wasm", n, "x86", cov, "insts", u.Coverage.Instructions, "untranslated", u.Coverage.Untranslated, time.Since(t0))
	for _, r := range u.Coverage.Reasons {
		if r.Count > 5 {
			fmt.Println("  ", r.Name, r.Count)
		}
	}
	if o := os.Getenv("OUT"); o != "" {
		b := u.Encode()
		os.WriteFile(o, b, 0o644)
	}
}

func TestDump(t *testing.T) {
	p, at := os.Getenv("ELF"), os.Getenv("AT")
	if at == "" {
		t.Skip()
	}
	data, _ := os.ReadFile(p)
	f, err := elf.Parse(p, data)
	if err != nil {
		t.Fatal(err)
	}
	prog, _ := disasm.Analyze(f)
	l := lift.Program(prog)
	want, _ := strconv.ParseUint(at, 16, 64)
	for _, fn := range l.Funcs {
		if uint64(fn.Entry) == want-f.VMin {
			if os.Getenv("RAW") == "" {
				opt.Run(fn)
			}
			fmt.Println(fn)
			if err := ir.Verify(fn); err != nil {
				fmt.Println("VERIFY:", err)
			}
		}
	}
}

func TestVerifyAll(t *testing.T) {
	p := os.Getenv("VERIFY")
	if p == "" {
		t.Skip()
	}
	data, _ := os.ReadFile(p)
	f, err := elf.Parse(p, data)
	if err != nil {
		t.Fatal(err)
	}
	prog, _ := disasm.Analyze(f)
	l := lift.Program(prog)
	for _, fn := range l.Funcs {
		if err := ir.Verify(fn); err != nil {
			t.Logf("raw %x %s: %v", uint64(fn.Entry)+f.VMin, fn.Name, err)
			if len(fn.Blocks) < 30 {
				fmt.Println(fn)
			}
			t.FailNow()
		}
	}
	for _, fn := range l.Funcs {
		for _, p := range opt.Passes {
			p.Run(fn)
			if err := ir.Verify(fn); err != nil {
				t.Fatalf("%s %x %s: %v\n%v", p.Name, fn.Entry, fn.Name, err, fn)
			}
		}
	}
}
