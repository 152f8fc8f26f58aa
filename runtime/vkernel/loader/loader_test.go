package loader

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/megabin/megabin/runtime/vkernel/mm"
)

// stackMemory records what buildStack writes.
type stackMemory struct {
	base uint64
	data []byte
}

func (m *stackMemory) CopyOut(addr uint64, src []byte) error {
	m.base, m.data = addr, bytes.Clone(src)
	return nil
}

func (m *stackMemory) word(addr uint64) uint64 {
	return binary.LittleEndian.Uint64(m.data[addr-m.base:])
}

func (m *stackMemory) str(addr uint64) string {
	s, _, _ := bytes.Cut(m.data[addr-m.base:], []byte{0})
	return string(s)
}

// hostAuxv is this process's own vector: keys in the kernel's order.
func hostAuxv(t *testing.T) (keys []uint64, values map[uint64]uint64) {
	raw, err := os.ReadFile("/proc/self/auxv")
	if err != nil {
		t.Fatal(err)
	}
	values = map[uint64]uint64{}
	for ; len(raw) >= 16; raw = raw[16:] {
		k := binary.LittleEndian.Uint64(raw)
		keys = append(keys, k)
		values[k] = binary.LittleEndian.Uint64(raw[8:])
	}
	return keys, values
}

// TestStack checks the System V layout, with the host's auxiliary vector as
// the example of order and of values that are the same everywhere.
func TestStack(t *testing.T) {
	for n := range 20 { // alignment must not depend on the amount
		argv := []string{"prog"}
		for range n {
			argv = append(argv, strings.Repeat("x", n))
		}
		checkStack(t, Params{Argv: argv, Envp: []string{"A=1", "B=two"}, ExecFn: "/bin/prog", UID: 1, GID: 2, Random: [16]byte{9, 8, 7}})
	}
}

func checkStack(t *testing.T, p Params) {
	prog := &Binary{Header: &Header{Segments: make([]Segment, 7)}}
	var m stackMemory
	sp, layout, err := buildStack(&m, p, auxv(prog, &loaded{phdr: 0x1040, entry: 0x2000}, 0x3000, p))
	if err != nil || sp%16 != 0 {
		t.Fatalf("sp %#x, %v", sp, err)
	}
	if got := m.word(sp); got != uint64(len(p.Argv)) {
		t.Fatal("argc", got)
	}
	at := sp + 8
	for _, list := range [][]string{p.Argv, p.Envp} {
		for _, want := range list {
			if got := m.str(m.word(at)); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			at += 8
		}
		if m.word(at) != 0 {
			t.Fatal("no NULL after the strings")
		}
		at += 8
	}
	checkAuxv(t, &m, at, p)
	if got := string(m.data[layout.ArgStart-m.base : layout.ArgEnd-m.base]); got != strings.Join(p.Argv, "\x00")+"\x00" {
		t.Errorf("arguments in memory: %q", got)
	}
	if got := string(m.data[layout.EnvStart-m.base : layout.EnvEnd-m.base]); got != strings.Join(p.Envp, "\x00")+"\x00" {
		t.Errorf("environment in memory: %q", got)
	}
	if end := m.base + uint64(len(m.data)); end != mm.StackTop || m.word(end-8) != 0 {
		t.Error("the stack does not end in a zero word at its top")
	}
}

func checkAuxv(t *testing.T, m *stackMemory, at uint64, p Params) {
	hostKeys, host := hostAuxv(t)
	ours := map[uint64]uint64{}
	var keys []uint64
	for ; ; at += 16 {
		k := m.word(at)
		keys, ours[k] = append(keys, k), m.word(at+8)
		if k == atNull {
			break
		}
	}
	i := 0
	for _, k := range hostKeys {
		if i < len(keys) && keys[i] == k {
			i++
		}
	}
	if i != len(keys) {
		t.Errorf("keys %v are not in the host's order %v", keys, hostKeys)
	}
	for _, k := range []uint64{atPagesz, atClktck, atPhent, atFlags} {
		if ours[k] != host[k] {
			t.Errorf("entry %d is %d, the host's %d", k, ours[k], host[k])
		}
	}
	if m.str(ours[atExecFn]) != p.ExecFn || m.str(ours[atPlatform]) != "x86_64" || m.data[ours[atRandom]-m.base] != p.Random[0] {
		t.Error("a pointer in the vector is wrong")
	}
	if ours[atUID] != uint64(p.UID) || ours[atGID] != uint64(p.GID) || ours[atPhnum] != 7 || ours[atBase] != 0x3000 {
		t.Error("a value in the vector is wrong:", ours)
	}
}

// TestHostHeaders reads this machine's own programs and compares with what
// readelf says.
func TestHostHeaders(t *testing.T) {
	for _, name := range []string{"/bin/ls", "/bin/sh", "/lib64/ld-linux-x86-64.so.2"} {
		f, err := os.Open(name)
		if err != nil {
			t.Skip(err)
		}
		defer f.Close()
		h, err := ReadHeader(f)
		if err != nil {
			t.Fatal(name, err)
		}
		out, err := exec.Command("readelf", "-lW", name).Output()
		if err != nil {
			t.Skip("readelf:", err)
		}
		if h.Interp != "" && !strings.Contains(string(out), "[Requesting program interpreter: "+h.Interp+"]") {
			t.Errorf("%s: interpreter %q", name, h.Interp)
		}
		loads := 0
		for _, s := range h.Segments {
			if s.Type == ptLoad {
				loads++
			}
		}
		if want := strings.Count(string(out), "\n  LOAD "); loads != want {
			t.Errorf("%s: %d segments, readelf has %d", name, loads, want)
		}
	}
}

// TestScript has what binfmt_script.c's comments and man execve(2) say.
func TestScript(t *testing.T) {
	long := "#!/" + strings.Repeat("p", HeaderBytes)
	for _, c := range []struct{ head, interp, arg, err string }{
		{head: "#!/bin/sh\necho", interp: "/bin/sh"},
		{head: "#! \t/bin/sh  -e -u \nx", interp: "/bin/sh", arg: "-e -u"},
		{head: "#!/bin/sh", interp: "/bin/sh"},
		{head: "#!\n", err: "exec format error"},
		{head: "#!   ", err: "exec format error"},
		{head: long[:HeaderBytes], err: "exec format error"},
		{head: ("#!/bin/sh " + long)[:HeaderBytes], interp: "/bin/sh", arg: ("#!/bin/sh " + long)[len("#!/bin/sh "):HeaderBytes]},
	} {
		interp, arg, ok, err := Script([]byte(c.head))
		if !ok || interp != c.interp || arg != c.arg || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%.40q: %q %q %v %v", c.head, interp, arg, ok, err)
		}
	}
	if _, _, ok, _ := Script([]byte("\x7fELF")); ok {
		t.Error("an ELF file is a script")
	}
}

func FuzzHeader(f *testing.F) {
	if b, err := os.ReadFile("/bin/true"); err == nil {
		f.Add(b[:min(len(b), 4096)])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ReadHeader(bytes.NewReader(b))
		if err != nil {
			return
		}
		start, end, align, err := h.span()
		if err == nil && (start >= end || end > mm.TaskSize || align&(align-1) != 0) {
			t.Fatalf("span %#x-%#x align %#x", start, end, align)
		}
		h.phdrAddr()
	})
}

func FuzzScript(f *testing.F) {
	f.Add([]byte("#!/bin/sh -e\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		interp, _, ok, err := Script(b[:min(len(b), HeaderBytes)])
		if ok && err == nil && interp == "" {
			t.Fatal("a script without an interpreter")
		}
	})
}
