package strace

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// structure reads n bytes at v and prints them; NULL and unreadable ones as
// the pointer. An output structure is printed only when the call succeeded.
func structure(n int, out bool, show func(b []byte) string) printer {
	return func(c *Call, i int, v uint64) string {
		b := make([]byte, n)
		if v == 0 || out && (!c.Done || c.Err != 0) || c.Mem.CopyIn(v, b) != nil {
			return pointer(c, i, v)
		}
		return show(b)
	}
}

var statOut = structure(144, true, func(b []byte) string {
	mode, size := binary.LittleEndian.Uint32(b[24:]), int64(word(b, 6))
	if t := mode & unix.S_IFMT; t == unix.S_IFCHR || t == unix.S_IFBLK {
		rdev := word(b, 5)
		return fmt.Sprintf("{st_mode=%s, st_rdev=makedev(%#x, %#x), ...}", modeName(mode), unix.Major(rdev), unix.Minor(rdev))
	}
	return fmt.Sprintf("{st_mode=%s, st_size=%d, ...}", modeName(mode), size)
})

var statxOut = structure(256, true, func(b []byte) string {
	mode := uint32(binary.LittleEndian.Uint16(b[28:]))
	return fmt.Sprintf("{stx_mask=%#x, stx_attributes=0, stx_mode=%s, stx_size=%d, ...}",
		binary.LittleEndian.Uint32(b), modeName(mode), word(b, 5))
})

var modeTypes = map[uint32]string{
	unix.S_IFREG: "S_IFREG", unix.S_IFDIR: "S_IFDIR", unix.S_IFLNK: "S_IFLNK", unix.S_IFCHR: "S_IFCHR",
	unix.S_IFBLK: "S_IFBLK", unix.S_IFIFO: "S_IFIFO", unix.S_IFSOCK: "S_IFSOCK",
}

func modeName(mode uint32) string {
	name := modeTypes[mode&unix.S_IFMT]
	for _, special := range []flag{{unix.S_ISUID, "S_ISUID"}, {unix.S_ISGID, "S_ISGID"}, {unix.S_ISVTX, "S_ISVTX"}} {
		if uint64(mode)&special.value != 0 {
			name += "|" + special.name
		}
	}
	return fmt.Sprintf("%s|0%o", name, mode&0o777)
}

var twoInts = structure(8, true, func(b []byte) string {
	return fmt.Sprintf("[%d, %d]", int32(binary.LittleEndian.Uint32(b)), int32(binary.LittleEndian.Uint32(b[4:])))
})

var waitStatus = structure(4, true, func(b []byte) string {
	s := unix.WaitStatus(binary.LittleEndian.Uint32(b))
	switch {
	case s.Exited():
		return fmt.Sprintf("[{WIFEXITED(s) && WEXITSTATUS(s) == %d}]", s.ExitStatus())
	case s.Signaled():
		return fmt.Sprintf("[{WIFSIGNALED(s) && WTERMSIG(s) == %s}]", SignalName(int(s.Signal())))
	case s.Stopped():
		return fmt.Sprintf("[{WIFSTOPPED(s) && WSTOPSIG(s) == %s}]", SignalName(int(s.StopSignal())))
	}
	return fmt.Sprintf("[%#x]", uint32(s))
})

var opaqueOut = structure(65*6, true, func(b []byte) string {
	return fmt.Sprintf("{sysname=%q, nodename=%q, ...}", unix.ByteSliceToString(b), unix.ByteSliceToString(b[65:]))
})

func timespec(out bool) printer {
	return structure(16, out, func(b []byte) string { return fmtTime(b, "tv_nsec") })
}

func timeval(out bool) printer {
	return structure(16, out, func(b []byte) string { return fmtTime(b, "tv_usec") })
}

func fmtTime(b []byte, fraction string) string {
	return fmt.Sprintf("{tv_sec=%d, %s=%d}", int64(word(b, 0)), fraction, int64(word(b, 1)))
}

var timespecs2 = structure(32, false, func(b []byte) string {
	show := func(b []byte) string {
		switch word(b, 1) {
		case unix.UTIME_NOW:
			return "UTIME_NOW"
		case unix.UTIME_OMIT:
			return "UTIME_OMIT"
		}
		return fmtTime(b, "tv_nsec")
	}
	return "[" + show(b) + ", " + show(b[16:]) + "]"
})

func rlimit(out bool) printer {
	return structure(16, out, func(b []byte) string {
		return fmt.Sprintf("{rlim_cur=%s, rlim_max=%s}", limit(word(b, 0)), limit(word(b, 1)))
	})
}

func limit(v uint64) string {
	switch {
	case v == ^uint64(0):
		return "RLIM64_INFINITY"
	case v != 0 && v%1024 == 0 && v > 1024:
		return fmt.Sprintf("%d*1024", v/1024)
	}
	return fmt.Sprint(v)
}

var sigset = structure(8, false, func(b []byte) string { return setName(word(b, 0)) })

func setName(set uint64) string {
	if set == ^uint64(0) {
		return "~[]"
	}
	var names []string
	for sig := 1; sig <= 64; sig++ {
		if set>>(sig-1)&1 != 0 {
			names = append(names, strings.TrimPrefix(SignalName(sig), "SIG"))
		}
	}
	return "[" + strings.Join(names, " ") + "]"
}

// sigaction is struct kernel_sigaction: handler, flags, restorer, mask.
var sigaction = structure(32, false, func(b []byte) string {
	handler := fmt.Sprintf("%#x", word(b, 0))
	switch word(b, 0) {
	case 0:
		handler = "SIG_DFL"
	case 1:
		handler = "SIG_IGN"
	}
	text := fmt.Sprintf("{sa_handler=%s, sa_mask=%s, sa_flags=%s", handler, setName(word(b, 3)), flagNames(saFlags, word(b, 1)))
	if word(b, 1)&saRestorer != 0 {
		text += fmt.Sprintf(", sa_restorer=%#x", word(b, 2))
	}
	return text + "}"
})

// pollfds is a pollfd array whose length is the next argument.
func pollfds(c *Call, i int, v uint64) string {
	var parts []string
	for k := uint64(0); k < min(c.Args[i+1], maxElements); k++ {
		var b [8]byte
		if c.Mem.CopyIn(v+8*k, b[:]) != nil {
			return pointer(c, i, v)
		}
		parts = append(parts, fmt.Sprintf("{fd=%d, events=%s}", int32(binary.LittleEndian.Uint32(b[:])),
			flagNames(flagSets["pollev"], uint64(binary.LittleEndian.Uint16(b[4:])))))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// sockaddr is an address whose length is the next argument.
func sockaddr(c *Call, i int, v uint64) string {
	b := make([]byte, min(c.Args[i+1], 128))
	if v == 0 || len(b) < 2 || c.Mem.CopyIn(v, b) != nil {
		return pointer(c, i, v)
	}
	port := func() uint16 { return binary.BigEndian.Uint16(b[2:]) }
	switch family := binary.LittleEndian.Uint16(b); {
	case family == unix.AF_UNIX && len(b) > 2 && b[2] == 0:
		return fmt.Sprintf("{sa_family=AF_UNIX, sun_path=@%s}", quote(b[3:], len(b)))
	case family == unix.AF_UNIX:
		return fmt.Sprintf("{sa_family=AF_UNIX, sun_path=%q}", unix.ByteSliceToString(b[2:]))
	case family == unix.AF_INET && len(b) >= 8:
		return fmt.Sprintf("{sa_family=AF_INET, sin_port=htons(%d), sin_addr=inet_addr(%q)}", port(), netip.AddrFrom4([4]byte(b[4:8])))
	case family == unix.AF_INET6 && len(b) >= 24:
		return fmt.Sprintf("{sa_family=AF_INET6, sin6_port=htons(%d), inet_pton(AF_INET6, %q)}", port(), netip.AddrFrom16([16]byte(b[8:24])))
	case family == unix.AF_NETLINK:
		return "{sa_family=AF_NETLINK}"
	default:
		return fmt.Sprintf("{sa_family=%d}", family)
	}
}
