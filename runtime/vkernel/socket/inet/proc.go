package inet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
)

// ProcFiles implements socket.Prober.
func (f family) ProcFiles() []socket.ProcFile {
	s := f.stack
	file := func(name string, domain, protocol int) socket.ProcFile {
		return socket.ProcFile{Name: name, Read: func() []byte { return s.proc(domain, protocol) }}
	}
	return append([]socket.ProcFile{
		file("icmp", unix.AF_INET, unix.IPPROTO_ICMP), file("icmp6", unix.AF_INET6, unix.IPPROTO_ICMPV6),
		file("tcp", unix.AF_INET, unix.IPPROTO_TCP), file("tcp6", unix.AF_INET6, unix.IPPROTO_TCP),
		file("udp", unix.AF_INET, unix.IPPROTO_UDP), file("udp6", unix.AF_INET6, unix.IPPROTO_UDP),
		file("udplite", unix.AF_INET, unix.IPPROTO_UDPLITE), file("udplite6", unix.AF_INET6, unix.IPPROTO_UDPLITE),
		{Name: "route", Read: func() []byte {
			return fmt.Appendf(nil, "%-127s\n", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT")
		}},
	}, s.otherFiles()...)
}

// keep makes the socket one of the stack's, drop ends that.
func (s *Stack) keep(b *base) {
	s.allMu.Lock()
	defer s.allMu.Unlock()
	s.lastNumber++
	s.all[s.lastNumber] = b
	b.number = s.lastNumber
}

func (s *Stack) drop(b *base) {
	s.allMu.Lock()
	defer s.allMu.Unlock()
	delete(s.all, b.number)
}

// sockets lists those of a kind, the oldest first.
func (s *Stack) sockets(domain, protocol int) (list []*base) {
	s.allMu.Lock()
	defer s.allMu.Unlock()
	for _, n := range slices.Sorted(maps.Keys(s.all)) {
		if b := s.all[n]; b.Domain == domain && b.Protocol == protocol {
			list = append(list, b)
		}
	}
	return list
}

// proc is /proc/net/tcp and its kin.
func (s *Stack) proc(domain, protocol int) []byte {
	var b bytes.Buffer
	form := formOf(domain, protocol)
	fmt.Fprintf(&b, "%-*s\n", form.width, form.title)
	line := 0
	for _, sock := range s.sockets(domain, protocol) {
		s.mu.Lock()
		local, remote, bound := sock.local, sock.remote, sock.bound || sock.remote.IsValid()
		state := byte(stateClose)
		if t, isTCP := sock.owner.(*tcp); isTCP {
			state = t.state()
		} else if remote.IsValid() {
			state = stateEstablished
		}
		s.mu.Unlock()
		if !bound {
			continue
		}
		waiting, _ := sock.owner.Readable()
		text := fmt.Sprintf(form.line,
			line, procAddr(domain, local), procAddr(domain, remote), state, 0, waiting, 0, 0, 0, 0, 0, sock.Ino())
		fmt.Fprintf(&b, "%-*s\n", form.width, text)
		line++
	}
	return b.Bytes()
}

// form is how a file shows sockets.
type form struct {
	title, line string
	width       int // of each line, at least
}

// Lines of sockets end with what is only TCP's, or all others'.
const (
	procLine  = "d: %s %s %02X %08X:%08X %02X:%08X %08X %5d %8d %d "
	tcpLine   = "%4" + procLine + "1 0000000000000000 100 0 0 10 0"
	dgramLine = "%5" + procLine + "2 0000000000000000 0"
)

func formOf(domain, protocol int) form {
	title, line, width := "  sl  local_address rem_address"+restOfTitle, dgramLine, 127
	if domain == unix.AF_INET6 {
		title, width = "  sl  local_address                         remote_address                     "+restOfTitle, 0
	}
	switch {
	case protocol == unix.IPPROTO_TCP:
		title, line = strings.TrimSuffix(title, " ref pointer drops"), tcpLine
		if domain == unix.AF_INET {
			width = 149
		}
	case protocol != unix.IPPROTO_ICMP && domain == unix.AF_INET:
		title = " " + title
	}
	return form{title, line, width}
}

// procAddr is an address as words in the host's byte order, and the port.
func procAddr(domain int, a netip.AddrPort) string {
	raw := socket.EncodeInet(domain, a)
	ip := raw[4:8]
	if domain == unix.AF_INET6 {
		ip = raw[8:24]
	}
	text := ""
	for ; len(ip) > 0; ip = ip[4:] {
		text += fmt.Sprintf("%08X", binary.LittleEndian.Uint32(ip))
	}
	return fmt.Sprintf("%s:%04X", text, a.Port())
}
