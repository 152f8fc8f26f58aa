package translate

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/elf"
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/lift"
	"github.com/megabin/megabin/converter/opt"
	"github.com/megabin/megabin/converter/wasm"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/unit/unittest"
)

// program is an ELF of the host that the tests translate.
const program = "/bin/ls"

func readProgram(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(program)
	if err != nil {
		t.Skip(err)
	}
	return data
}

// TestPassesKeepFunctionsWellFormed verifies each function after lifting and
// after every pass.
func TestPassesKeepFunctionsWellFormed(t *testing.T) {
	f, err := elf.Parse(program, readProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	prog, err := disasm.Analyze(f)
	if err != nil {
		t.Fatal(err)
	}
	for fn := range lift.Program(prog).Funcs() {
		if err := ir.Verify(fn); err != nil {
			t.Fatalf("lifted %#x: %v", fn.Entry, err)
		}
		for _, p := range opt.Passes {
			p.Run(fn)
			if err := ir.Verify(fn); err != nil {
				t.Fatalf("%#x after %s: %v", fn.Entry, p.Name, err)
			}
		}
	}
}

// TestUnit checks that a unit is a valid module, decodes, and is a pure
// function of the ELF.
func TestUnit(t *testing.T) {
	data := readProgram(t)
	var encoded [2][]byte
	for i := range encoded {
		u, err := ELF(context.Background(), program, data)
		if err != nil {
			t.Fatal(err)
		}
		encoded[i] = u.Encode()
	}
	if !bytes.Equal(encoded[0], encoded[1]) {
		t.Error("two translations of a file differ")
	}
	if _, err := unit.Decode(encoded[0]); err != nil {
		t.Error(err)
	}
	unittest.Validate(t, encoded[0])
}

// TestCanceled checks that a translation ends when its context does.
func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := ELF(ctx, program, readProgram(t)); err == nil {
		t.Error("no error from a canceled translation")
	}
}

// TestSites: everywhere that the guest can be entered again the locals
// can be made from the register file, in C and in Go. A jump to a place where they can't faults.
func TestSites(t *testing.T) {
	for _, name := range []string{program, "/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6", "/proc/self/exe"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Skip(err)
		}
		f, err := elf.Parse(name, data)
		if err != nil {
			t.Fatal(err)
		}
		prog, err := disasm.Analyze(f)
		if err != nil {
			t.Fatal(err)
		}
		lifted := lift.Program(prog)
		env, sites, lost := newEnv(&unit.Meta{}, lifted), 0, 0
		for fn := range lifted.Funcs() {
			opt.Run(fn)
			if err := ir.Verify(fn); err != nil {
				t.Fatal(err)
			}
			code, err := wasm.Compile(fn, env)
			if err != nil {
				t.Fatal(err)
			}
			sites, lost = sites+len(code.Sites), lost+code.Lost
		}
		if t.Logf("%s: %d sites, %d lost", name, sites, lost); lost > 0 {
			t.Errorf("%s: %d of %d sites are lost", name, lost, sites+lost)
		}
	}
}
