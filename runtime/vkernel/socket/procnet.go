package socket

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ProcFile is a file of /proc/net.
type ProcFile struct {
	Name string
	Read func() []byte
}

// Prober is a family that has files in /proc/net.
type Prober interface {
	ProcFiles() []ProcFile
}

// ProcFiles are the files of /proc/net.
func (n *Network) ProcFiles() []ProcFile {
	list := []ProcFile{{"dev", n.procDev}, {"if_inet6", n.procIPv6}}
	var domains []int
	for domain := range n.Families {
		domains = append(domains, domain)
	}
	slices.Sort(domains)
	for _, domain := range domains {
		p, proves := n.Families[domain].(Prober)
		if !proves {
			continue
		}
		for _, f := range p.ProcFiles() {
			if !slices.ContainsFunc(list, func(old ProcFile) bool { return old.Name == f.Name }) {
				list = append(list, f)
			}
		}
	}
	return list
}

// procDev is /proc/net/dev, of which the counters are not kept.
func (n *Network) procDev() []byte {
	var b bytes.Buffer
	b.WriteString("Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n")
	for _, i := range n.Interfaces() {
		fmt.Fprintf(&b, "%6s: %7d %7d %4d %4d %4d %5d %10d %9d %8d %7d %4d %4d %4d %5d %7d %10d\n", i.Name, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	return b.Bytes()
}

// procIPv6 is /proc/net/if_inet6.
func (n *Network) procIPv6() []byte {
	var b bytes.Buffer
	for _, i := range n.Interfaces() {
		for _, p := range i.Addrs {
			if p.Addr().Is6() {
				scope := 0
				if p.Addr().IsLoopback() {
					scope = 0x10
				} else if p.Addr().IsLinkLocalUnicast() {
					scope = 0x20
				}
				fmt.Fprintf(&b, "%s %02x %02x %02x %02x %8s\n", hex.EncodeToString(p.Addr().AsSlice()), i.Index, p.Bits(), scope, 0x80, i.Name)
			}
		}
	}
	return b.Bytes()
}

// HostProcFiles are the host's own files of these names; those that cannot be
// read are empty.
func HostProcFiles(names string) (list []ProcFile) {
	for _, name := range strings.Fields(names) {
		list = append(list, ProcFile{name, func() []byte {
			b, _ := os.ReadFile(filepath.Join("/proc/self/net", name))
			return b
		}})
	}
	return list
}
