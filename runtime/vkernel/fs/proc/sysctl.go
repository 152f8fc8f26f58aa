package proc

import (
	"slices"
	"strings"

	"github.com/megabin/megabin/runtime/vkernel/fs/synth"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// sysctls are the files of /proc/sys whose value never changes: limits that
// hold here, and what Linux has unless somebody changes it (sysctl(2),
// Documentation/admin-guide/sysctl) for what has no effect.
var sysctls = map[string]string{
	"fs/aio-max-nr":                 "65536",
	"fs/aio-nr":                     "0",
	"fs/dentry-state":               "0\t0\t45\t0\t0\t0",
	"fs/dir-notify-enable":          "1",
	"fs/epoll/max_user_watches":     "1048576",
	"fs/file-max":                   "9223372036854775807",
	"fs/file-nr":                    "1024\t0\t9223372036854775807",
	"fs/inode-nr":                   "1024\t0",
	"fs/inode-state":                "1024\t0\t0\t0\t0\t0\t0",
	"fs/inotify/max_queued_events":  "16384",
	"fs/inotify/max_user_instances": "1024",
	"fs/inotify/max_user_watches":   "65536",
	"fs/lease-break-time":           "45",
	"fs/leases-enable":              "1",
	"fs/mount-max":                  "100000",
	"fs/mqueue/msg_default":         "10",
	"fs/mqueue/msg_max":             "10",
	"fs/mqueue/msgsize_default":     "8192",
	"fs/mqueue/msgsize_max":         "8192",
	"fs/mqueue/queues_max":          "256",
	"fs/nr_open":                    "1048576",
	"fs/overflowgid":                "65534",
	"fs/overflowuid":                "65534",
	"fs/pipe-max-size":              "1048576",
	"fs/pipe-user-pages-hard":       "0",
	"fs/pipe-user-pages-soft":       "16384",
	"fs/protected_fifos":            "1",
	"fs/protected_hardlinks":        "1",
	"fs/protected_regular":          "2",
	"fs/protected_symlinks":         "1",
	"fs/suid_dumpable":              "0",

	"kernel/auto_msgmni":               "0",
	"kernel/cap_last_cap":              "40",
	"kernel/core_pattern":              "core",
	"kernel/core_pipe_limit":           "0",
	"kernel/core_uses_pid":             "0",
	"kernel/ctrl-alt-del":              "0",
	"kernel/dmesg_restrict":            "1",
	"kernel/domainname":                "(none)",
	"kernel/io_uring_disabled":         "2",
	"kernel/kptr_restrict":             "1",
	"kernel/msgmax":                    "8192",
	"kernel/msgmnb":                    "16384",
	"kernel/msgmni":                    "32000",
	"kernel/ngroups_max":               "65536",
	"kernel/numa_balancing":            "0",
	"kernel/ostype":                    "Linux",
	"kernel/overflowgid":               "65534",
	"kernel/overflowuid":               "65534",
	"kernel/panic":                     "0",
	"kernel/panic_on_oops":             "0",
	"kernel/perf_event_paranoid":       "3",
	"kernel/pid_max":                   "4194304",
	"kernel/print-fatal-signals":       "0",
	"kernel/printk":                    "4\t4\t1\t7",
	"kernel/pty/max":                   "4096",
	"kernel/pty/reserve":               "1024",
	"kernel/random/entropy_avail":      "256",
	"kernel/random/poolsize":           "256",
	"kernel/randomize_va_space":        "0",
	"kernel/sched_autogroup_enabled":   "0",
	"kernel/sched_rr_timeslice_ms":     "100",
	"kernel/sched_rt_period_us":        "1000000",
	"kernel/sched_rt_runtime_us":       "950000",
	"kernel/seccomp/actions_avail":     "kill_process kill_thread trap errno user_notif trace log allow",
	"kernel/seccomp/actions_logged":    "kill_process kill_thread trap errno user_notif trace log",
	"kernel/sem":                       "32000\t1024000\t500\t32000",
	"kernel/shm_rmid_forced":           "0",
	"kernel/shmall":                    "18446744073692774399",
	"kernel/shmmax":                    "18446744073692774399",
	"kernel/shmmni":                    "4096",
	"kernel/sysctl_writes_strict":      "1",
	"kernel/sysrq":                     "0",
	"kernel/tainted":                   "0",
	"kernel/threads-max":               "4194304",
	"kernel/timer_migration":           "1",
	"kernel/unprivileged_bpf_disabled": "2",
	"vm/admin_reserve_kbytes":          "8192",
	"vm/compaction_proactiveness":      "20",
	"vm/dirty_background_bytes":        "0",
	"vm/dirty_background_ratio":        "10",
	"vm/dirty_bytes":                   "0",
	"vm/dirty_expire_centisecs":        "3000",
	"vm/dirty_ratio":                   "20",
	"vm/dirty_writeback_centisecs":     "500",
	"vm/hugetlb_shm_group":             "0",
	"vm/laptop_mode":                   "0",
	"vm/legacy_va_layout":              "0",
	"vm/max_map_count":                 "65530",
	"vm/memfd_noexec":                  "0",
	"vm/mmap_min_addr":                 "65536",
	"vm/nr_hugepages":                  "0",
	"vm/nr_overcommit_hugepages":       "0",
	"vm/oom_dump_tasks":                "1",
	"vm/oom_kill_allocating_task":      "0",
	"vm/overcommit_kbytes":             "0",
	"vm/overcommit_memory":             "0",
	"vm/overcommit_ratio":              "50",
	"vm/page-cluster":                  "3",
	"vm/panic_on_oom":                  "0",
	"vm/stat_interval":                 "1",
	"vm/swappiness":                    "60",
	"vm/unprivileged_userfaultfd":      "0",
	"vm/user_reserve_kbytes":           "131072",
	"vm/vfs_cache_pressure":            "100",
	"vm/watermark_scale_factor":        "10",
	"vm/zone_reclaim_mode":             "0",

	// What package keys goes by: keyrings(7).
	"kernel/keys/gc_delay":                  "300",
	"kernel/keys/maxbytes":                  "20000",
	"kernel/keys/maxkeys":                   "200",
	"kernel/keys/persistent_keyring_expiry": "259200",
	"kernel/keys/root_maxbytes":             "25000000",
	"kernel/keys/root_maxkeys":              "1000000",
}

// sys makes /proc/sys.
func (f *fs) sys() vfs.Inode {
	t := tree{}
	for path, value := range sysctls {
		t.put(path, fixed(value+"\n"))
	}
	for _, n := range f.NetSys {
		t.put("net/"+n.Name, file(n.Read))
	}
	t.put("kernel/hostname", f.hostname())
	t.put("kernel/osrelease", fixed(f.Release+"\n"))
	t.put("kernel/version", fixed(f.Version+"\n"))
	t.put("kernel/random/boot_id", fixed(uuid()))
	t.put("kernel/random/uuid", file(func() []byte { return []byte(uuid()) }))
	return t.dir()
}

// tree is a directory to be: inodes, and directories below it, by name.
type tree map[string]any

// put puts an inode at a path.
func (t tree) put(path string, i vfs.Inode) {
	name, rest, below := strings.Cut(path, "/")
	if !below {
		t[name] = i
		return
	}
	sub, _ := t[name].(tree)
	if sub == nil {
		sub = tree{}
		t[name] = sub
	}
	sub.put(rest, i)
}

// dir makes the directory, in the order of names.
func (t tree) dir() vfs.Inode {
	var names synth.Static
	for name, what := range t {
		i, isInode := what.(vfs.Inode)
		if !isInode {
			i = what.(tree).dir()
		}
		names = append(names, synth.StaticName{Name: name, Inode: i})
	}
	slices.SortFunc(names, func(a, b synth.StaticName) int { return strings.Compare(a.Name, b.Name) })
	return dir(names)
}
