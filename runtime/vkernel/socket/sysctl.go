package socket

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// settings are the files of /proc/sys/net that programs look at, with their
// values on a container's own network: those that hold there, and Linux's for what has
// no effect where nothing is lost or delayed.
var settings = map[string]string{
	"core/default_qdisc":                    "pfifo_fast",
	"core/netdev_max_backlog":               "1000",
	"core/optmem_max":                       "20480",
	"core/rmem_default":                     "212992",
	"core/rmem_max":                         "4194304",
	"core/somaxconn":                        "4096",
	"core/wmem_default":                     "212992",
	"core/wmem_max":                         "4194304",
	"ipv4/conf/all/forwarding":              "0",
	"ipv4/conf/all/rp_filter":               "0",
	"ipv4/conf/default/forwarding":          "0",
	"ipv4/conf/default/rp_filter":           "0",
	"ipv4/conf/lo/forwarding":               "0",
	"ipv4/conf/lo/rp_filter":                "0",
	"ipv4/icmp_echo_ignore_all":             "0",
	"ipv4/icmp_echo_ignore_broadcasts":      "1",
	"ipv4/ip_default_ttl":                   "64",
	"ipv4/ip_forward":                       "0",
	"ipv4/ip_local_port_range":              "32768\t60999",
	"ipv4/ip_local_reserved_ports":          "",
	"ipv4/ip_nonlocal_bind":                 "0",
	"ipv4/ip_unprivileged_port_start":       "1024",
	"ipv4/ping_group_range":                 "0\t2147483647",
	"ipv4/tcp_abort_on_overflow":            "0",
	"ipv4/tcp_allowed_congestion_control":   "reno cubic",
	"ipv4/tcp_available_congestion_control": "reno cubic",
	"ipv4/tcp_congestion_control":           "cubic",
	"ipv4/tcp_ecn":                          "2",
	"ipv4/tcp_fastopen":                     "0",
	"ipv4/tcp_fin_timeout":                  "60",
	"ipv4/tcp_keepalive_intvl":              "75",
	"ipv4/tcp_keepalive_probes":             "9",
	"ipv4/tcp_keepalive_time":               "7200",
	"ipv4/tcp_max_syn_backlog":              "4096",
	"ipv4/tcp_max_tw_buckets":               "0",
	"ipv4/tcp_moderate_rcvbuf":              "1",
	"ipv4/tcp_mtu_probing":                  "0",
	"ipv4/tcp_notsent_lowat":                "4294967295",
	"ipv4/tcp_orphan_retries":               "0",
	"ipv4/tcp_retries1":                     "3",
	"ipv4/tcp_retries2":                     "15",
	"ipv4/tcp_rmem":                         "4096\t131072\t6291456",
	"ipv4/tcp_sack":                         "1",
	"ipv4/tcp_slow_start_after_idle":        "1",
	"ipv4/tcp_stdurg":                       "0",
	"ipv4/tcp_syn_retries":                  "6",
	"ipv4/tcp_synack_retries":               "5",
	"ipv4/tcp_syncookies":                   "0",
	"ipv4/tcp_timestamps":                   "1",
	"ipv4/tcp_tw_reuse":                     "2",
	"ipv4/tcp_window_scaling":               "1",
	"ipv4/tcp_wmem":                         "4096\t16384\t4194304",
	"ipv6/bindv6only":                       "0",
	"ipv6/conf/all/disable_ipv6":            "0",
	"ipv6/conf/all/forwarding":              "0",
	"ipv6/conf/default/disable_ipv6":        "0",
	"ipv6/conf/default/forwarding":          "0",
	"ipv6/conf/lo/disable_ipv6":             "0",
	"ipv6/conf/lo/forwarding":               "0",
	"unix/max_dgram_qlen":                   "10",
}

// Settings are the files of /proc/sys/net of a container's own network.
func Settings() (list []ProcFile) {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		list = append(list, ProcFile{name, func() []byte { return []byte(settings[name] + "\n") }})
	}
	return list
}

// HostSettings are the same files with the host's values.
func HostSettings() (list []ProcFile) {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		path := filepath.Join("/proc/sys/net", name)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		list = append(list, ProcFile{name, func() []byte {
			b, _ := os.ReadFile(path)
			return b
		}})
	}
	return list
}
