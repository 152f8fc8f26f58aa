package local

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/megabin/megabin/runtime/vkernel/socket"
)

// ProcFiles implements socket.Prober.
func (f *Family) ProcFiles() []socket.ProcFile {
	return []socket.ProcFile{{Name: "unix", Read: f.proc}}
}

// Flags and states of /proc/net/unix.
const (
	acceptFlag     = 0x10000 // __SO_ACCEPTCON
	ssUnconnected  = 1
	ssConnected    = 3
	procUnixHeader = "Num       RefCount Protocol Flags    Type St Inode Path\n"
)

// proc is /proc/net/unix.
func (f *Family) proc() []byte {
	f.mu.Lock()
	var list []endpoint
	for e := range f.all {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b endpoint) int { return int(a.node().Ino()) - int(b.node().Ino()) })
	var b bytes.Buffer
	b.WriteString(procUnixHeader)
	for _, e := range list {
		n, flags, state := e.node(), 0, ssUnconnected
		if s, isStream := e.(*stream); isStream {
			if s.queue != nil {
				flags = acceptFlag
			}
			if s.conn.Load() != nil {
				state = ssConnected
			}
		}
		fmt.Fprintf(&b, "0000000000000000: 00000002 00000000 %08X %04X %02X %5d%s\n", flags, n.Type, state, n.Ino(), n.procName())
	}
	f.mu.Unlock()
	return b.Bytes()
}

// procName is a name as /proc shows it: abstract ones begin with "@".
func (b *base) procName() string {
	if b.name == nil {
		return ""
	}
	name := string(b.name[2:])
	if name[0] == 0 {
		return " @" + strings.ReplaceAll(name[1:], "\x00", "@")
	}
	return " " + strings.TrimRight(name, "\x00")
}
