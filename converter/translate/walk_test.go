package translate

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/elf"
	"github.com/megabin/megabin/converter/lift"
	"github.com/megabin/megabin/converter/opt"
	"github.com/megabin/megabin/layers/blob"
	"golang.org/x/arch/x86/x86asm"
)

var update = flag.Bool("update", false, "renew what docs/translator.md shows, and testdata/sizes")

// walked is what gcc -O2 makes of
//
//	long sum(const long *a, long n) { long s = 0; while (n-- > 0) s += *a++; return s; }
//
// in a form that its documentation walks through.
const walked = "\x48\x85\xf6\x7e\x13\x48\x8d\x14\xf7\x31\xc0\x48\x03\x07\x48\x83\xc7\x08\x48\x39\xd7\x75\xf4\xc3\x31\xc0\xc3"

func walkedProgram(t *testing.T) *disasm.Program {
	t.Helper()
	p, err := disasm.Analyze(&elf.File{
		Name: "sum", Data: []byte(walked), Entry: 0x1000, VMin: 0x1000,
		Segments: []elf.Segment{{Vaddr: 0x1000, Filesz: uint64(len(walked)), Memsz: uint64(len(walked)), Flags: 5}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestWalk: docs/translator.md shows one function as it is after each stage.
func TestWalk(t *testing.T) {
	var code strings.Builder
	for _, b := range walkedProgram(t).Funcs[0].Blocks {
		fmt.Fprintf(&code, "block %#x:\n", b.Addr-0x1000)
		for i := range b.Insts {
			in := &b.Insts[i]
			fmt.Fprintf(&code, "  %-24x %s\n", walked[in.Addr-0x1000:in.Next()-0x1000], x86asm.IntelSyntax(*in.Inst, in.Addr-0x1000, nil))
		}
	}
	lifted := lift.Program(walkedProgram(t)).Func(0)
	f := lift.Program(walkedProgram(t)).Func(0)
	opt.Run(f)
	stages := map[string]string{"blocks": code.String(), "lifted": lifted.String(), "optimised": f.String()}
	if text, ok := disassembled(t); ok {
		stages["wasm"] = text
	}
	path := filepath.Join("..", "..", "docs", "translator.md")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(data)
	for stage, want := range stages {
		at := regexp.MustCompile("(?s)(<!-- " + stage + " -->\n```\n)(.*?)(```\n)").FindStringSubmatchIndex(doc)
		if at == nil {
			t.Errorf("%s has no place for %q", path, stage)
			continue
		}
		if have := doc[at[4]:at[5]]; have != want && !*update {
			t.Errorf("%s shows as %q\n%s\nwhich is\n%s(go test ./converter/translate -run TestWalk -update)", path, stage, have, want)
		}
		doc = doc[:at[4]] + want + doc[at[5]:]
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(path, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// disassembled is the function's wasm as wabt shows it, without the comments.
func disassembled(t *testing.T) (string, bool) {
	t.Helper()
	tool, err := exec.LookPath("wasm2wat")
	if err != nil {
		return "", false
	}
	p := walkedProgram(t)
	u, err := emit(context.Background(), p, lift.Program(p), blob.Hash([]byte(walked)))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "unit.wasm")
	if err := os.WriteFile(file, u.Encode(), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "--enable-tail-call", "--enable-threads", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text := string(out)
	start := strings.Index(text, "\n  (func ")
	if start < 0 {
		t.Fatalf("no function in\n%s", text)
	}
	text = text[start+1:]
	if end := strings.Index(text[1:], "\n  ("); end >= 0 {
		text = text[:end+1]
	}
	return strings.TrimRight(text, ")\n") + "\n", true
}
