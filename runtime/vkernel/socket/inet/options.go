package inet

import (
	"github.com/megabin/megabin/runtime/vkernel/socket"
	"golang.org/x/sys/unix"
)

const (
	levelIP  = unix.IPPROTO_IP
	levelIP6 = unix.IPPROTO_IPV6
	levelTCP = unix.IPPROTO_TCP
	levelUDP = unix.IPPROTO_UDP
)

// ip4Options are those of ip(7).
var ip4Options = socket.Table{
	{Level: levelIP, Name: unix.IP_TOS}:                  {Fit: octet},
	{Level: levelIP, Name: unix.IP_TTL}:                  {Initial: 64, Fit: ttl},
	{Level: levelIP, Name: unix.IP_MTU_DISCOVER}:         {Initial: 1, Fit: socket.Within(0, 5)},
	{Level: levelIP, Name: unix.IP_RECVERR}:              {Fit: socket.Bool},
	{Level: levelIP, Name: unix.IP_PKTINFO}:              {Fit: socket.Bool},
	{Level: levelIP, Name: unix.IP_RECVTTL}:              {Fit: socket.Bool},
	{Level: levelIP, Name: unix.IP_RECVTOS}:              {Fit: socket.Bool},
	{Level: levelIP, Name: unix.IP_RECVOPTS}:             {Fit: socket.Bool},
	{Level: levelIP, Name: unix.IP_RETOPTS}:              {Fit: socket.Bool},
	{Level: levelIP, Name: unix.IP_RECVORIGDSTADDR}:      {Fit: socket.Bool},
	{Level: levelIP, Name: unix.IP_FREEBIND}:             {Fit: socket.Bool},
	{Level: levelIP, Name: unix.IP_TRANSPARENT}:          {Fit: socket.Privileged},
	{Level: levelIP, Name: unix.IP_BIND_ADDRESS_NO_PORT}: {Fit: socket.Bool},
	{Level: levelIP, Name: unix.IP_MULTICAST_TTL}:        {Initial: 1, Fit: socket.Within(-1, 255)},
	{Level: levelIP, Name: unix.IP_MULTICAST_LOOP}:       {Initial: 1, Fit: socket.Bool},
	{Level: levelIP, Name: unix.IP_MULTICAST_ALL}:        {Initial: 1, Fit: socket.Bool},
	{Level: levelIP, Name: unix.IP_MTU}:                  {Initial: 65536},
}

// ip6Options are those of ipv6(7).
var ip6Options = socket.Table{
	{Level: levelIP6, Name: unix.IPV6_V6ONLY}:           {Fit: socket.Bool},
	{Level: levelIP6, Name: unix.IPV6_UNICAST_HOPS}:     {Initial: 64, Fit: byteOr(64)},
	{Level: levelIP6, Name: unix.IPV6_MULTICAST_HOPS}:   {Initial: 1, Fit: byteOr(1)},
	{Level: levelIP6, Name: unix.IPV6_MULTICAST_LOOP}:   {Initial: 1, Fit: socket.Bool},
	{Level: levelIP6, Name: unix.IPV6_MTU_DISCOVER}:     {Initial: 1, Fit: socket.Within(0, 5)},
	{Level: levelIP6, Name: unix.IPV6_MTU}:              {Initial: 65536, Fit: socket.Any},
	{Level: levelIP6, Name: unix.IPV6_TCLASS}:           {Fit: byteOr(0)},
	{Level: levelIP6, Name: unix.IPV6_RECVERR}:          {Fit: socket.Bool},
	{Level: levelIP6, Name: unix.IPV6_RECVPKTINFO}:      {Fit: socket.Bool},
	{Level: levelIP6, Name: unix.IPV6_RECVHOPLIMIT}:     {Fit: socket.Bool},
	{Level: levelIP6, Name: unix.IPV6_RECVTCLASS}:       {Fit: socket.Bool},
	{Level: levelIP6, Name: unix.IPV6_2292PKTINFO}:      {Fit: socket.Bool},
	{Level: levelIP6, Name: unix.IPV6_2292HOPLIMIT}:     {Fit: socket.Bool},
	{Level: levelIP6, Name: unix.IPV6_FREEBIND}:         {Fit: socket.Bool},
	{Level: levelIP6, Name: unix.IPV6_TRANSPARENT}:      {Fit: socket.Privileged},
	{Level: levelIP6, Name: unix.IPV6_DONTFRAG}:         {Fit: socket.Bool},
	{Level: levelIP6, Name: unix.IPV6_AUTOFLOWLABEL}:    {Fit: socket.Bool},
	{Level: levelIP6, Name: unix.IPV6_ADDR_PREFERENCES}: {Fit: socket.Any},
}

// tcpOptions are those of tcp(7).
var tcpOptions = socket.Table{
	{Level: unix.SOL_SOCKET, Name: unix.SO_SNDBUF}:         {Initial: 16384, Fit: tcpBuffer(4608)},
	{Level: unix.SOL_SOCKET, Name: unix.SO_RCVBUF}:         {Initial: 131072, Fit: tcpBuffer(2304)},
	{Level: levelTCP, Name: unix.TCP_NODELAY}:              {Fit: socket.Bool},
	{Level: levelTCP, Name: unix.TCP_CORK}:                 {Fit: socket.Bool},
	{Level: levelTCP, Name: unix.TCP_MAXSEG}:               {Initial: 536, Fit: socket.Within(0, 32767)},
	{Level: levelTCP, Name: unix.TCP_KEEPIDLE}:             {Initial: 7200, Fit: socket.Within(1, 32767)},
	{Level: levelTCP, Name: unix.TCP_KEEPINTVL}:            {Initial: 75, Fit: socket.Within(1, 32767)},
	{Level: levelTCP, Name: unix.TCP_KEEPCNT}:              {Initial: 9, Fit: socket.Within(1, 127)},
	{Level: levelTCP, Name: unix.TCP_SYNCNT}:               {Initial: 6, Fit: socket.Within(1, 127)},
	{Level: levelTCP, Name: unix.TCP_LINGER2}:              {Initial: 60, Fit: socket.Any},
	{Level: levelTCP, Name: unix.TCP_DEFER_ACCEPT}:         {Fit: socket.Any},
	{Level: levelTCP, Name: unix.TCP_WINDOW_CLAMP}:         {Fit: socket.Any},
	{Level: levelTCP, Name: unix.TCP_QUICKACK}:             {Initial: 1, Fit: socket.Bool},
	{Level: levelTCP, Name: unix.TCP_USER_TIMEOUT}:         {Fit: socket.Within(0, 1<<31-1)},
	{Level: levelTCP, Name: unix.TCP_FASTOPEN}:             {Fit: socket.Within(0, 1<<31-1)},
	{Level: levelTCP, Name: unix.TCP_NOTSENT_LOWAT}:        {Initial: -1, Fit: socket.Any},
	{Level: levelTCP, Name: unix.TCP_THIN_DUPACK}:          {Fit: socket.Bool},
	{Level: levelTCP, Name: unix.TCP_THIN_LINEAR_TIMEOUTS}: {Fit: socket.Bool},
}

// udpOptions are those of udp(7).
var udpOptions = socket.Table{
	{Level: levelUDP, Name: unix.UDP_CORK}:    {Fit: socket.Bool},
	{Level: levelUDP, Name: unix.UDP_SEGMENT}: {Fit: socket.Within(0, 0)},
	{Level: levelUDP, Name: unix.UDP_GRO}:     {Fit: socket.Bool},
}

// echoOptions are those of ping sockets, which may share an identifier.
var echoOptions = socket.Table{{Level: unix.SOL_SOCKET, Name: unix.SO_REUSEADDR}: {Initial: 1, Fit: socket.Bool}}

// liteOptions are those of UDP-Lite, uapi/linux/udp.h, besides udpOptions.
var liteOptions = socket.Table{
	{Level: unix.IPPROTO_UDPLITE, Name: 10}: {Fit: coverage}, // UDPLITE_SEND_CSCOV
	{Level: unix.IPPROTO_UDPLITE, Name: 11}: {Fit: coverage}, // UDPLITE_RECV_CSCOV
}

// coverage keeps how many bytes a checksum is of: the header's at least, or 0
// for all.
func coverage(v int) (int, error) {
	const header, most = 8, 1<<16 - 1
	if v == 0 {
		return 0, nil
	}
	return min(max(v, header), most), nil
}

// memberships are the options that join or leave multicast groups.
var memberships = map[socket.OptionName]bool{
	{Level: levelIP, Name: unix.IP_ADD_MEMBERSHIP}: true, {Level: levelIP, Name: unix.IP_DROP_MEMBERSHIP}: true,
	{Level: levelIP, Name: unix.IP_MULTICAST_IF}: true, {Level: levelIP6, Name: unix.IPV6_MULTICAST_IF}: true,
	{Level: levelIP6, Name: unix.IPV6_JOIN_GROUP}: true, {Level: levelIP6, Name: unix.IPV6_LEAVE_GROUP}: true,
}

// ttl keeps 1 … 255, and the default for -1.
func ttl(v int) (int, error) {
	if v == -1 {
		return 64, nil
	}
	return socket.Within(1, 255)(v)
}

// octet keeps the low 8 bits.
func octet(v int) (int, error) { return v & 0xff, nil }

// byteOr keeps 0 … 255, and the default for -1.
func byteOr(initial int) func(int) (int, error) {
	return func(v int) (int, error) {
		if v == -1 {
			return initial, nil
		}
		return socket.Within(0, 255)(v)
	}
}

// tcpBuffer keeps a buffer's size as SOL_SOCKET does.
func tcpBuffer(least int) func(int) (int, error) {
	return func(v int) (int, error) { return max(2*min(max(v, 0), 4<<20), least), nil }
}

// tables are the options of a kind of socket.
func tables(k socket.Kind) []socket.Table {
	own := tcpOptions
	switch {
	case k.Protocol == echoProtocol[k.Domain]:
		own = echoOptions
	case k.Type == unix.SOCK_DGRAM:
		own = udpOptions
	}
	list := []socket.Table{own, ip4Options}
	if k.Protocol == unix.IPPROTO_UDPLITE {
		list = append(list, liteOptions)
	}
	if k.Domain == unix.AF_INET6 {
		list = append(list, ip6Options)
	}
	return list
}
