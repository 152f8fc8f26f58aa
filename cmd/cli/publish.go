package cli

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/megabin/megabin/runtime/runner"
)

// parsePorts makes published ports of the arguments of -p.
func parsePorts(args []string) ([]runner.Port, error) {
	var ports []runner.Port
	for _, arg := range args {
		p, err := parsePort(arg)
		if err != nil {
			return nil, fmt.Errorf("-p %s: %w", arg, err)
		}
		ports = append(ports, p)
	}
	return ports, nil
}

// parsePort reads [IP:]HOST:GUEST[/tcp|/udp]. Without an IP it is all
// addresses of the host, IPv4 and IPv6.
func parsePort(arg string) (runner.Port, error) {
	text, proto, _ := strings.Cut(arg, "/")
	if proto == "" {
		proto = "tcp"
	}
	if proto != "tcp" && proto != "udp" {
		return runner.Port{}, fmt.Errorf("unknown protocol %q, want tcp or udp", proto)
	}
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 {
		return runner.Port{}, fmt.Errorf("want [IP:]HOST:GUEST[/udp]")
	}
	guest, err := portNumber(text[colon+1:])
	if err != nil {
		return runner.Port{}, err
	}
	ip, host := netip.Addr{}, text[:colon]
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		if ip, err = netip.ParseAddr(strings.Trim(host[:i], "[]")); err != nil {
			return runner.Port{}, fmt.Errorf("%q is no IP address", host[:i])
		}
		host = host[i+1:]
	}
	number, err := portNumber(host)
	return runner.Port{Proto: proto, Host: netip.AddrPortFrom(ip, number), Guest: guest}, err
}

func portNumber(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no port number", s)
	}
	return uint16(n), nil
}
