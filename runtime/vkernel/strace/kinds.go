package strace

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// printer prints argument i, or the result if i is -1.
type printer func(c *Call, i int, v uint64) string

// maxString is how many bytes of a string are shown (strace -s).
const maxString = 32

// outputs are the kinds whose value stands in memory only after the call.
var outputs = map[string]bool{
	"out": true, "stat": true, "statx": true, "ints2": true, "status": true, "utsname": true,
	"ts_out": true, "tv_out": true, "rlimit_out": true, "pollfds": true, "ioout": true, "cstr_out": true,
}

// kinds are the names that signatures use. They are made when the first
// signature is read: few runs trace.
var kinds = sync.OnceValue(func() map[string]printer {
	kinds := map[string]printer{
		"d": decimal, "u": unsigned, "x": hex, "o": octal, "p": pointer, "fd": decimal, "pid": decimal, "long": long,
		"key": keySerial, "dirfd": dirfd, "path": path, "mode": octal, "_": raw,
		"in": input, "out": output, "iov": vector(false), "ioout": vector(true),
		"strs": stringList, "envs": environment, "cstr_out": stringOut,
		"stat": statOut, "statx": statxOut, "ints2": twoInts, "status": waitStatus, "utsname": opaqueOut,
		"ts": timespec(false), "ts_out": timespec(true), "tv": timeval(false), "tv_out": timeval(true),
		"ts2": timespecs2, "rlimit": rlimit(false), "rlimit_out": rlimit(true),
		"sigset": sigset, "sigaction": sigaction, "pollfds": pollfds, "sockaddr": sockaddr,
	}
	for name, set := range flagSets {
		kinds[name] = flags(set)
	}
	for name, set := range enums {
		kinds[name] = enum(set)
	}
	return kinds
})

func decimal(_ *Call, _ int, v uint64) string  { return strconv.Itoa(int(int32(v))) }
func long(_ *Call, _ int, v uint64) string     { return strconv.FormatInt(int64(v), 10) }
func unsigned(_ *Call, _ int, v uint64) string { return strconv.FormatUint(v, 10) }
func hex(_ *Call, _ int, v uint64) string      { return fmt.Sprintf("%#x", v) }
func raw(_ *Call, _ int, v uint64) string      { return fmt.Sprintf("%#x", v) }

func octal(_ *Call, _ int, v uint64) string {
	if uint32(v) == 0 {
		return "000"
	}
	return fmt.Sprintf("0%o", uint32(v))
}

func pointer(_ *Call, _ int, v uint64) string {
	if v == 0 {
		return "NULL"
	}
	return fmt.Sprintf("%#x", v)
}

func dirfd(_ *Call, _ int, v uint64) string {
	if int32(v) == unix.AT_FDCWD {
		return "AT_FDCWD"
	}
	return strconv.Itoa(int(int32(v)))
}

// keySerial is a key's number, or what it is to the caller.
func keySerial(c *Call, i int, v uint64) string {
	if int32(v) < 0 {
		return enumName(specialKeys, uint64(uint32(v)))
	}
	return decimal(c, i, v)
}

func path(c *Call, i int, v uint64) string {
	s, err := c.Mem.CString(v, unix.PathMax)
	if err != nil {
		return pointer(c, i, v)
	}
	return quote([]byte(s), len(s))
}

// quote prints at most limit bytes as strace does: C escapes, octal for what
// has none, an ellipsis for what is left out.
func quote(b []byte, limit int) string {
	var s strings.Builder
	s.WriteByte('"')
	shown := b[:min(len(b), limit)]
	for i, c := range shown {
		s.WriteString(escape(c, i+1 < len(shown) && shown[i+1] >= '0' && shown[i+1] <= '9'))
	}
	s.WriteByte('"')
	if len(shown) < len(b) {
		s.WriteString("...")
	}
	return s.String()
}

func escape(c byte, digitFollows bool) string {
	if i := strings.IndexByte("\t\n\v\f\r", c); i >= 0 {
		return [...]string{`\t`, `\n`, `\v`, `\f`, `\r`}[i]
	}
	switch {
	case c == '"' || c == '\\':
		return `\` + string(c)
	case c >= ' ' && c < 0x7f:
		return string(c)
	case digitFollows:
		return fmt.Sprintf(`\%03o`, c)
	}
	return fmt.Sprintf(`\%o`, c)
}

// memory reads n bytes at addr, one more than is shown at most.
func memory(c *Call, addr, n uint64) ([]byte, bool) {
	b := make([]byte, min(n, maxString+1))
	return b, c.Mem.CopyIn(addr, b) == nil
}

func data(c *Call, addr, n uint64) string {
	b, ok := memory(c, addr, n)
	if !ok {
		return pointer(c, 0, addr)
	}
	return quote(b, maxString)
}

// input is a buffer whose length is the next argument.
func input(c *Call, i int, v uint64) string { return data(c, v, c.Args[i+1]) }

// output is a buffer that was filled with as many bytes as the call returned.
func output(c *Call, i int, v uint64) string {
	if !c.Done || c.Err != 0 {
		return pointer(c, i, v)
	}
	return data(c, v, c.Ret)
}

// stringOut is a buffer that was filled with a string.
func stringOut(c *Call, i int, v uint64) string {
	if !c.Done || c.Err != 0 {
		return pointer(c, i, v)
	}
	return path(c, i, v)
}

// maxElements is how many elements of an array are shown.
const maxElements = 32

// vector is an iovec array whose length is the next argument.
func vector(filled bool) printer {
	return func(c *Call, i int, v uint64) string {
		left := c.Ret
		var parts []string
		for k := uint64(0); k < min(c.Args[i+1], maxElements); k++ {
			var raw [16]byte
			if c.Mem.CopyIn(v+16*k, raw[:]) != nil {
				return pointer(c, i, v)
			}
			base, n := word(raw[:], 0), word(raw[:], 1)
			shown := n
			if filled {
				shown = min(n, left)
				left -= shown
			}
			text := data(c, base, shown)
			if filled && (!c.Done || c.Err != 0) {
				text = pointer(c, i, base)
			}
			parts = append(parts, fmt.Sprintf("{iov_base=%s, iov_len=%d}", text, n))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
}

func word(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }

func stringList(c *Call, i int, v uint64) string {
	var parts []string
	for {
		var raw [8]byte
		if c.Mem.CopyIn(v, raw[:]) != nil {
			return pointer(c, i, v)
		}
		p := word(raw[:], 0)
		if p == 0 {
			return "[" + strings.Join(parts, ", ") + "]"
		}
		if len(parts) == maxElements {
			return "[" + strings.Join(parts, ", ") + ", ...]"
		}
		parts = append(parts, path(c, i, p))
		v += 8
	}
}

func environment(c *Call, i int, v uint64) string {
	n := 0
	for ; ; n++ {
		var raw [8]byte
		if c.Mem.CopyIn(v+8*uint64(n), raw[:]) != nil {
			return pointer(c, i, v)
		}
		if word(raw[:], 0) == 0 {
			break
		}
	}
	return fmt.Sprintf("%s /* %d vars */", pointer(c, i, v), n)
}
