package x86

import (
	"bufio"
	"bytes"
	"debug/elf"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// compared are files whose .text holds no data, which objdump would list as
// instructions. Absent ones are skipped.
var compared = []string{
	"/bin/bash", "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2",
	"/usr/lib/x86_64-linux-gnu/libstdc++.so.6", "/usr/lib/x86_64-linux-gnu/libm.so.6", "/usr/bin/perl",
}

// objdump is the oracle: at each instruction of its listing Decode must give
// the same length.
func TestLengthsAgainstObjdump(t *testing.T) {
	if _, err := exec.LookPath("objdump"); err != nil {
		t.Skip("no objdump")
	}
	for _, f := range compared {
		t.Run(f, func(t *testing.T) { compareLengths(t, f) })
	}
}

type listed struct {
	addr uint64
	len  int
	text string
}

func compareLengths(t *testing.T, file string) {
	text, base := section(t, file, ".text")
	for _, l := range listing(t, file, base+uint64(len(text))) {
		in, err := Decode(text[l.addr-base:], l.addr)
		if known := knownDifference(text[l.addr-base:], l.text); known > 0 {
			l.len = known
		}
		switch {
		case err != nil:
			t.Errorf("%#x: objdump says %q: %v", l.addr, l.text, err)
		case in.Len != l.len:
			t.Errorf("%#x: objdump says %q, %d bytes; got %d", l.addr, l.text, l.len, in.Len)
		}
	}
}

// knownDifference gives the length where objdump's line is not one
// instruction, else 0.
func knownDifference(code []byte, text string) int {
	if code[0] == 0x9b && !strings.HasPrefix(text, "fwait") {
		return 1 // objdump joins fwait with the x87 instruction that follows
	}
	return 0
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

// listing runs objdump over the .text that ends at end.
func listing(t *testing.T, file string, end uint64) []listed {
	out, err := exec.Command("objdump", "-d", "-z", "-j", ".text", "-w", "--no-show-raw-insn", "-M", "intel", file).Output()
	if err != nil {
		t.Skip(err)
	}
	var list []listed
	sc := bufio.NewScanner(bytes.NewReader(out))
	for sc.Scan() {
		a, text, ok := strings.Cut(strings.TrimSpace(sc.Text()), ":\t")
		addr, err := strconv.ParseUint(a, 16, 64)
		if !ok || err != nil {
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
