package socket

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// Sizes of socket addresses, bytes.
const (
	MaxAddr      = 128 // struct sockaddr_storage
	sockaddrIn   = 16
	sockaddrIn6  = 28
	leastIn6     = 24 // without the scope (RFC 2133)
	familyLength = 2
)

// Domain is the family of a struct sockaddr, AF_UNSPEC if it has none.
func Domain(addr []byte) int {
	if len(addr) < familyLength {
		return unix.AF_UNSPEC
	}
	return int(binary.LittleEndian.Uint16(addr))
}

// ParseInet reads a struct sockaddr_in or sockaddr_in6 for a socket of a
// domain: EINVAL if it is too short, EAFNOSUPPORT if it is of another family.
func ParseInet(domain int, addr []byte) (netip.AddrPort, error) {
	least := map[int]int{unix.AF_INET: sockaddrIn, unix.AF_INET6: leastIn6}[domain]
	switch got := Domain(addr); {
	case len(addr) < familyLength:
		return netip.AddrPort{}, unix.EINVAL
	case domain == unix.AF_INET6 && got == unix.AF_INET && len(addr) < sockaddrIn6, len(addr) < least:
		return netip.AddrPort{}, unix.EINVAL
	case got != domain:
		return netip.AddrPort{}, unix.EAFNOSUPPORT
	}
	port := binary.BigEndian.Uint16(addr[2:])
	if domain == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(addr[4:8])), port), nil
	}
	ip := netip.AddrFrom16([16]byte(addr[8:24]))
	if len(addr) >= sockaddrIn6 && ip.IsLinkLocalUnicast() {
		if scope := binary.LittleEndian.Uint32(addr[24:]); scope != 0 {
			ip = ip.WithZone(strconv.Itoa(int(scope)))
		}
	}
	return netip.AddrPortFrom(ip, port), nil
}

// EncodeInet is a struct sockaddr_in or sockaddr_in6; IPv4 addresses are
// mapped in the latter.
func EncodeInet(domain int, a netip.AddrPort) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(domain))
	b = binary.BigEndian.AppendUint16(b, a.Port())
	if domain == unix.AF_INET {
		ip := [4]byte{}
		if a.Addr().Unmap().Is4() {
			ip = a.Addr().Unmap().As4()
		}
		return append(append(b, ip[:]...), make([]byte, 8)...)
	}
	ip := [16]byte{}
	if a.Addr().IsValid() {
		ip = a.Addr().As16()
	}
	scope, _ := strconv.Atoi(a.Addr().Zone())
	b = append(append(b, 0, 0, 0, 0), ip[:]...)
	return binary.LittleEndian.AppendUint32(b, uint32(scope))
}
