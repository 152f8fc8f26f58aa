package difftest

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unsafe"
)

// Engine runs a snippet once from each state and returns the states after it.
type Engine interface {
	Run(code []byte, in []State) ([]State, error)
}

//go:embed testdata/runner.c
var runnerSource []byte

// Native is the Engine that runs snippets on this machine's processor, in a
// child process so that a fault or a wild store hurts nobody.
type Native struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.ReadCloser
}

// StartNative builds the runner with gcc in dir and starts it.
func StartNative(dir string) (*Native, error) {
	src, bin := filepath.Join(dir, "runner.c"), filepath.Join(dir, "runner")
	if err := os.WriteFile(src, runnerSource, 0o644); err != nil {
		return nil, err
	}
	if out, err := exec.Command("gcc", "-O1", "-static", "-no-pie", "-fcf-protection=none", "-o", bin, src).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the native runner: %w: %s", err, out)
	}
	n := &Native{cmd: exec.Command(bin)}
	n.cmd.Stderr = os.Stderr
	var err error
	if n.in, err = n.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if n.out, err = n.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return n, n.cmd.Start()
}

// Close ends the runner.
func (n *Native) Close() error {
	n.in.Close()
	return n.cmd.Wait()
}

// Run implements Engine.
func (n *Native) Run(code []byte, in []State) ([]State, error) {
	code = withExit(code)
	var req bytes.Buffer
	binary.Write(&req, binary.LittleEndian, [2]uint32{uint32(len(code)), uint32(len(in))})
	req.Write(code)
	req.Write(bytesOf(in))
	sent := make(chan error, 1)
	go func() {
		_, err := n.in.Write(req.Bytes())
		sent <- err
	}()
	out := make([]State, len(in))
	if _, err := io.ReadFull(n.out, bytesOf(out)); err != nil {
		return nil, fmt.Errorf("native runner: %w", err)
	}
	return out, <-sent
}

// bytesOf is the memory of s: State has the runner's layout and byte order.
func bytesOf(s []State) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(State{})))
}

// withExit appends a jump to ExitAddr.
func withExit(code []byte) []byte {
	code = append(bytes.Clone(code), 0xe9)
	rel := ExitAddr - (CodeBase + len(code) + 4)
	return binary.LittleEndian.AppendUint32(code, uint32(rel))
}

// Assemble turns snippets in Intel syntax into machine code with as, all in
// one go.
func Assemble(dir string, snippets []string) ([][]byte, error) {
	var src strings.Builder
	src.WriteString(".intel_syntax noprefix\n.text\n")
	for i, s := range snippets {
		fmt.Fprintf(&src, "S%d: %s\n", i, s)
	}
	fmt.Fprintf(&src, "S%d:\n", len(snippets))
	asm, obj, bin := filepath.Join(dir, "s.s"), filepath.Join(dir, "s.o"), filepath.Join(dir, "s.bin")
	if err := os.WriteFile(asm, []byte(src.String()), 0o644); err != nil {
		return nil, err
	}
	for _, cmd := range [][]string{{"as", "-o", obj, asm}, {"objcopy", "-O", "binary", "-j", ".text", obj, bin}} {
		if out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("assembling: %w: %s", err, out)
		}
	}
	text, err := os.ReadFile(bin)
	if err != nil {
		return nil, err
	}
	return split(obj, text, len(snippets))
}

// split cuts text at the symbols S0 … Sn.
func split(obj string, text []byte, n int) ([][]byte, error) {
	out, err := exec.Command("nm", obj).Output()
	if err != nil {
		return nil, fmt.Errorf("reading the assembler's symbols: %w", err)
	}
	at := make([]int, n+1)
	for line := range strings.Lines(string(out)) {
		var addr, i int
		var kind string
		if c, _ := fmt.Sscanf(line, "%x %s S%d", &addr, &kind, &i); c == 3 && i <= n {
			at[i] = addr
		}
	}
	code := make([][]byte, n)
	for i := range code {
		code[i] = text[at[i]:at[i+1]:at[i+1]]
	}
	return code, nil
}
