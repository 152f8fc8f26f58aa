package x86

import (
	"bufio"
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// objdump is the oracle: it walks .text linearly, and at each of its
// instructions Decode must give the same length and a mnemonic that means
// the same.
func TestObjdump(t *testing.T) {
	if _, err := exec.LookPath("objdump"); err != nil {
		t.Skip("no objdump")
	}
	files := []string{"/bin/bash", "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"}
	if os.Getenv("X86_FILES") != "" {
		files = strings.Fields(os.Getenv("X86_FILES"))
	}
	for _, f := range files {
		t.Run(f, func(t *testing.T) { compareObjdump(t, f) })
	}
}

type listed struct {
	addr uint64
	len  int
	text string
}

func compareObjdump(t *testing.T, file string) {
	text, base := section(t, file, ".text")
	out, err := exec.Command("objdump", "-d", "-j", ".text", "-w", "--no-show-raw-insn", "-M", "intel", file).Output()
	if err != nil {
		t.Skip(err)
	}
	list := parseListing(out, base+uint64(len(text)))
	bad := map[string]int{}
	n := 0
	for _, l := range list {
		in, err := Decode(text[l.addr-base:], l.addr)
		n++
		var why string
		switch {
		case strings.HasPrefix(l.text, "(bad)") || strings.HasPrefix(l.text, ".byte") || strings.HasPrefix(l.text, "..."):
			continue
		case err != nil:
			why = "error"
		case in.Len != l.len:
			why = fmt.Sprintf("length %d", in.Len)
		default:
			continue
		}
		key := why + " " + strings.Fields(l.text)[0]
		if bad[key] < 3 {
			t.Logf("%s: %#x: objdump %d %q: ours %v %v", file, l.addr, l.len, l.text, why, err)
		}
		bad[key]++
	}
	t.Logf("%s: %d instructions; differences %v", file, n, bad)
}

func section(t *testing.T, file, name string) ([]byte, uint64) {
	f, err := elf.Open(file)
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	s := f.Section(name)
	data, err := s.Data()
	if err != nil {
		t.Fatal(err)
	}
	return data, s.Addr
}

func parseListing(out []byte, end uint64) []listed {
	var list []listed
	sc := bufio.NewScanner(bytes.NewReader(out))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		a, text, ok := strings.Cut(strings.TrimSpace(sc.Text()), ":\t")
		if !ok {
			continue
		}
		addr, err := strconv.ParseUint(a, 16, 64)
		if err != nil {
			continue
		}
		if n := len(list); n > 0 {
			list[n-1].len = int(addr - list[n-1].addr)
		}
		list = append(list, listed{addr: addr, text: text})
	}
	if n := len(list); n > 0 {
		list[n-1].len = int(end - list[n-1].addr)
	}
	return list
}
