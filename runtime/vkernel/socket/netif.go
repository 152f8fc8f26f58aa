package socket

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Interface is a network interface as guests see it.
type Interface struct {
	Index    int
	Name     string
	Flags    int // IFF_*
	MTU      int // bytes
	Hardware []byte
	Addrs    []netip.Prefix
}

// Type is the interface's ARPHRD_*.
func (i *Interface) Type() int {
	if i.Flags&unix.IFF_LOOPBACK != 0 {
		return unix.ARPHRD_LOOPBACK
	}
	return unix.ARPHRD_ETHER
}

// Loopback is the one interface of a container without a network.
func Loopback() []Interface {
	return []Interface{{
		Index: 1, Name: "lo", Flags: unix.IFF_UP | unix.IFF_LOOPBACK | unix.IFF_RUNNING | unix.IFF_LOWER_UP, MTU: 65536,
		Hardware: make([]byte, 6), Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")},
	}}
}

// hostFlags are net.Flags and what they are for Linux.
var hostFlags = []struct {
	host  net.Flags
	linux int
}{
	{net.FlagUp, unix.IFF_UP}, {net.FlagBroadcast, unix.IFF_BROADCAST}, {net.FlagLoopback, unix.IFF_LOOPBACK},
	{net.FlagPointToPoint, unix.IFF_POINTOPOINT}, {net.FlagMulticast, unix.IFF_MULTICAST}, {net.FlagRunning, unix.IFF_RUNNING | unix.IFF_LOWER_UP},
}

// HostInterfaces are the interfaces of the runner; none if they cannot be
// read.
func HostInterfaces() (list []Interface) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, in := range interfaces {
		i := Interface{Index: in.Index, Name: in.Name, MTU: in.MTU, Hardware: in.HardwareAddr}
		if len(i.Hardware) == 0 {
			i.Hardware = make([]byte, 6)
		}
		for _, f := range hostFlags {
			if in.Flags&f.host != 0 {
				i.Flags |= f.linux
			}
		}
		addrs, _ := in.Addrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				i.Addrs = append(i.Addrs, p)
			}
		}
		list = append(list, i)
	}
	return list
}

// ifreqSize is sizeof(struct ifreq): a name of 16 bytes and a union of 24.
const (
	ifreqSize = 40
	ifNameLen = 16
)

// ifreqs are the requests that ask for something of one interface
// (netdevice(7)); what they give stands behind its name.
var ifreqs = map[uint32]func(i *Interface) ([]byte, error){
	unix.SIOCGIFFLAGS:   func(i *Interface) ([]byte, error) { return binary.LittleEndian.AppendUint16(nil, uint16(i.Flags)), nil },
	unix.SIOCGIFINDEX:   func(i *Interface) ([]byte, error) { return EncodeInt(i.Index), nil },
	unix.SIOCGIFMTU:     func(i *Interface) ([]byte, error) { return EncodeInt(i.MTU), nil },
	unix.SIOCGIFMETRIC:  func(*Interface) ([]byte, error) { return EncodeInt(0), nil },
	unix.SIOCGIFTXQLEN:  func(*Interface) ([]byte, error) { return EncodeInt(1000), nil },
	unix.SIOCGIFADDR:    func(i *Interface) ([]byte, error) { return i.v4(func(p netip.Prefix) netip.Addr { return p.Addr() }) },
	unix.SIOCGIFDSTADDR: func(i *Interface) ([]byte, error) { return i.v4(func(p netip.Prefix) netip.Addr { return p.Addr() }) },
	unix.SIOCGIFBRDADDR: func(i *Interface) ([]byte, error) { return i.v4(broadcast(i)) },
	unix.SIOCGIFNETMASK: func(i *Interface) ([]byte, error) {
		return i.v4(func(p netip.Prefix) netip.Addr { return mask(p.Bits()) })
	},
	unix.SIOCGIFHWADDR: func(i *Interface) ([]byte, error) {
		return append(binary.LittleEndian.AppendUint16(nil, uint16(i.Type())), i.Hardware...), nil
	},
}

func mask(bits int) netip.Addr {
	return netip.AddrFrom4([4]byte(net.CIDRMask(bits, 32)))
}

// broadcast is the broadcast address of an interface that has one.
func broadcast(i *Interface) func(netip.Prefix) netip.Addr {
	return func(p netip.Prefix) netip.Addr {
		if i.Flags&unix.IFF_BROADCAST == 0 {
			return netip.IPv4Unspecified()
		}
		ip, m := p.Addr().As4(), mask(p.Bits()).As4()
		for k := range ip {
			ip[k] |= ^m[k]
		}
		return netip.AddrFrom4(ip)
	}
}

// v4 encodes something of the first IPv4 address.
func (i *Interface) v4(what func(netip.Prefix) netip.Addr) ([]byte, error) {
	for _, p := range i.Addrs {
		if p.Addr().Is4() {
			return EncodeInet(unix.AF_INET, netip.AddrPortFrom(what(p), 0)), nil
		}
	}
	return nil, unix.EADDRNOTAVAIL
}

// ioctl does the requests of netdevice(7).
func (n *Network) ioctl(cmd uint32, arg uint64, mem vfs.Memory) (uint64, error) {
	switch get := ifreqs[cmd]; {
	case get != nil:
		return 0, n.ifreq(arg, mem, func(raw []byte) ([]byte, error) {
			i := n.byName(unix.ByteSliceToString(raw[:ifNameLen]))
			if i == nil {
				return nil, unix.ENODEV
			}
			b, err := get(i)
			return append(raw[:ifNameLen:ifNameLen], b...), err
		})
	case cmd == unix.SIOCGIFNAME:
		return 0, n.ifreq(arg, mem, func(raw []byte) ([]byte, error) {
			index := int(int32(binary.LittleEndian.Uint32(raw[ifNameLen:])))
			for _, i := range n.Interfaces() {
				if i.Index == index {
					return ifName(i.Name), nil
				}
			}
			return nil, unix.ENODEV
		})
	case cmd == unix.SIOCGIFCONF:
		return 0, n.ifconf(arg, mem)
	case cmd >= 0x8900 && cmd < 0x8a00: // the others of sockios.h change something
		return 0, unix.EPERM
	}
	return 0, unix.ENOTTY
}

// ifreq answers with what f makes of a struct ifreq.
func (n *Network) ifreq(arg uint64, mem vfs.Memory, f func(raw []byte) ([]byte, error)) error {
	var raw [ifreqSize]byte
	if err := mem.CopyIn(raw[:], arg); err != nil {
		return err
	}
	b, err := f(raw[:])
	if err != nil {
		return err
	}
	copy(raw[:], b)
	return mem.CopyOut(arg, raw[:])
}

func (n *Network) byName(name string) *Interface {
	for _, i := range n.Interfaces() {
		if i.Name == name {
			return &i
		}
	}
	return nil
}

func ifName(name string) []byte {
	b := make([]byte, ifNameLen)
	copy(b[:ifNameLen-1], name)
	return b
}

// ifconf is SIOCGIFCONF: all interfaces with an IPv4 address, as many as fit
// in the struct ifconf at arg; a NULL buffer asks for the length.
func (n *Network) ifconf(arg uint64, mem vfs.Memory) error {
	var conf [16]byte
	if err := mem.CopyIn(conf[:], arg); err != nil {
		return err
	}
	var out []byte
	for _, i := range n.Interfaces() {
		for _, p := range i.Addrs {
			if p.Addr().Is4() {
				req := append(ifName(i.Name), EncodeInet(unix.AF_INET, netip.AddrPortFrom(p.Addr(), 0))...)
				out = append(out, append(req, make([]byte, ifreqSize-len(req))...)...)
			}
		}
	}
	buf := binary.LittleEndian.Uint64(conf[8:])
	if buf != 0 {
		room := max(0, int(int32(binary.LittleEndian.Uint32(conf[:]))))
		out = out[:min(len(out), room/ifreqSize*ifreqSize)]
		if err := mem.CopyOut(buf, out); err != nil {
			return err
		}
	}
	binary.LittleEndian.PutUint32(conf[:], uint32(len(out)))
	return mem.CopyOut(arg, conf[:])
}
