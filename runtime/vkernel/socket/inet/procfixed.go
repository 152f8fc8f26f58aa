package inet

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
)

// fixedFiles are files of /proc/net about what is not here: other sockets,
// neighbours, and counters, which are not kept.
var fixedFiles = []struct{ name, text string }{
	{"arp", "IP address       HW type     Flags       HW address            Mask     Device\n"},
	{"igmp", "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n" +
		"1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"},
	{"packet", "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"},
	{"raw", "  sl  local_address rem_address" + restOfTitle + "\n"},
	{"raw6", "  sl  local_address                         remote_address                     " + restOfTitle + "\n"},
}

// restOfTitle is the title of datagram sockets from the state on.
const restOfTitle = "   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops"

// counters are the protocols of /proc/net/snmp (RFC 1213) with what they count,
// and the values of the first that are no counters.
var counters = []struct{ name, counted, values string }{
	{"Ip", "Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests OutDiscards " +
		"OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates OutTransmits", "2 64"},
	{"Icmp", "InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos InEchoReps InTimestamps " +
		"InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost OutDestUnreachs OutTimeExcds OutParmProbs " +
		"OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks OutAddrMaskReps", ""},
	{"Tcp", "RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts " +
		"InCsumErrors", "1 200 120000 -1"},
	{"Udp", "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors", ""},
	{"UdpLite", "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors", ""},
}

func snmp() []byte {
	var b []byte
	for _, c := range counters {
		values := strings.Fields(c.values)
		for range len(strings.Fields(c.counted)) - len(values) {
			values = append(values, "0")
		}
		b = fmt.Appendf(b, "%s: %s\n%s: %s\n", c.name, c.counted, c.name, strings.Join(values, " "))
	}
	return b
}

// sockstat is /proc/net/sockstat.
func (s *Stack) sockstat() []byte {
	s.allMu.Lock()
	all := len(s.all)
	s.allMu.Unlock()
	tcp := s.count(unix.AF_INET, unix.IPPROTO_TCP)
	return fmt.Appendf(nil, "sockets: used %d\nTCP: inuse %d orphan 0 tw 0 alloc %d mem 0\nUDP: inuse %d mem 0\nUDPLITE: inuse %d\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n",
		all, tcp, tcp+s.count(unix.AF_INET6, unix.IPPROTO_TCP), s.count(unix.AF_INET, unix.IPPROTO_UDP), s.count(unix.AF_INET, unix.IPPROTO_UDPLITE))
}

// sockstat6 is /proc/net/sockstat6.
func (s *Stack) sockstat6() []byte {
	return fmt.Appendf(nil, "TCP6: inuse %d\nUDP6: inuse %d\nUDPLITE6: inuse %d\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n",
		s.count(unix.AF_INET6, unix.IPPROTO_TCP), s.count(unix.AF_INET6, unix.IPPROTO_UDP), s.count(unix.AF_INET6, unix.IPPROTO_UDPLITE))
}

// count is how many sockets of a kind have a name.
func (s *Stack) count(domain, protocol int) (n int) {
	for _, b := range s.sockets(domain, protocol) {
		s.mu.Lock()
		if b.bound {
			n++
		}
		s.mu.Unlock()
	}
	return n
}

// otherFiles are the files that list no sockets.
func (s *Stack) otherFiles() (list []socket.ProcFile) {
	for _, f := range fixedFiles {
		list = append(list, socket.ProcFile{Name: f.name, Read: func() []byte { return []byte(f.text) }})
	}
	return append(list, socket.ProcFile{Name: "snmp", Read: snmp}, socket.ProcFile{Name: "sockstat", Read: s.sockstat}, socket.ProcFile{Name: "sockstat6", Read: s.sockstat6})
}
