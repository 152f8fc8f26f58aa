package proc

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/megabin/megabin/runtime/vkernel/fs/synth"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// system makes what is in /proc beside the processes.
func (f *fs) system() synth.Static {
	return synth.Static{
		{Name: "buddyinfo", Inode: file(func() []byte { return hostFile("/proc/buddyinfo") })},
		{Name: "cgroups", Inode: fixed("#subsys_name\thierarchy\tnum_cgroups\tenabled\n")},
		{Name: "cmdline", Inode: fixed("\n")},
		{Name: "consoles", Inode: fixed("")},
		{Name: "cpuinfo", Inode: file(f.cpuinfo)},
		{Name: "devices", Inode: fixed("Character devices:\n  1 mem\n  5 /dev/tty\n136 pts\n\nBlock devices:\n")},
		{Name: "diskstats", Inode: fixed("")},
		{Name: "execdomains", Inode: fixed("0-0\tLinux           \t[kernel]\n")},
		{Name: "filesystems", Inode: fixed("nodev\tsysfs\nnodev\tproc\nnodev\ttmpfs\nnodev\tdevtmpfs\nnodev\tdevpts\nnodev\tpipefs\nnodev\toverlay\n")},
		{Name: "interrupts", Inode: file(f.interrupts)},
		{Name: "key-users", Inode: file(f.keyUsers)},
		{Name: "keys", Inode: synth.NewPersonal(0o444, 0, 0, f.keys)},
		{Name: "loadavg", Inode: file(f.loadavg)},
		{Name: "meminfo", Inode: file(func() []byte { return hostFile("/proc/meminfo") })},
		{Name: "misc", Inode: fixed("")},
		{Name: "modules", Inode: fixed("")},
		{Name: "mounts", Inode: link("self/mounts")},
		{Name: "net", Inode: link("self/net")},
		{Name: "partitions", Inode: fixed("major minor  #blocks  name\n\n")},
		{Name: "pressure", Inode: dir(synth.Static{
			{Name: "cpu", Inode: fixed(pressure("some", "full"))},
			{Name: "io", Inode: fixed(pressure("some", "full"))},
			{Name: "memory", Inode: fixed(pressure("some", "full"))},
		})},
		{Name: "self", Inode: f.self(func(pid, _ int) string { return strconv.Itoa(pid) })},
		{Name: "softirqs", Inode: file(f.interrupts)},
		{Name: "stat", Inode: file(f.stat)},
		{Name: "swaps", Inode: fixed("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")},
		{Name: "sys", Inode: f.sys()},
		{Name: "sysvipc", Inode: files(f.IPC)},
		{Name: "thread-self", Inode: f.self(func(pid, tid int) string { return fmt.Sprintf("%d/task/%d", pid, tid) })},
		{Name: "uptime", Inode: file(f.uptime)},
		{Name: "vmstat", Inode: file(func() []byte { return hostFile("/proc/vmstat") })},
		{Name: "zoneinfo", Inode: file(func() []byte { return hostFile("/proc/zoneinfo") })},
		{Name: "version", Inode: fixed(fmt.Sprintf("Linux version %s (megabin) %s\n", f.Release, f.Version))},
	}
}

func dir(names synth.Static) vfs.Inode { return synth.NewDir(0o555, 0, 0, names) }

func fixed(s string) vfs.Inode { return file(func() []byte { return []byte(s) }) }

func file(read func() []byte) vfs.Inode {
	return synth.NewFile(0o444, 0, 0, func() ([]byte, error) { return read(), nil }, nil)
}

func link(target string) vfs.Inode {
	return synth.NewLink(0, 0, func(*vfs.Caller) (string, error) { return target, nil })
}

// self is a link whose text depends on who reads it.
func (f *fs) self(name func(pid, tid int) string) vfs.Inode {
	return synth.NewLink(0, 0, func(c *vfs.Caller) (string, error) {
		return name(f.Tasks.Self(c.Task)), nil
	})
}

func (f *fs) hostname() vfs.Inode {
	var write func([]byte) error
	if f.SetHostname != nil {
		write = func(p []byte) error {
			f.SetHostname(strings.TrimSuffix(string(p), "\n"))
			return nil
		}
	}
	return synth.NewFile(0o644, 0, 0, func() ([]byte, error) { return []byte(f.Hostname() + "\n"), nil }, write)
}

// uuid is a new random UUID (RFC 9562, version 4) and a newline.
func uuid() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x\n", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// hostFile is a file of the host's proc, empty if it has none.
func hostFile(name string) []byte {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	return b
}

func (f *fs) cpuinfo() []byte {
	var b bytes.Buffer
	for i := range max(f.CPUs, 1) {
		fmt.Fprintf(&b, "processor\t: %d\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 26\n"+
			"model name\t: Megabinary virtual processor\nstepping\t: 5\ncache size\t: 4096 KB\n"+
			"physical id\t: 0\nsiblings\t: %d\ncore id\t\t: %d\ncpu cores\t: %d\n"+
			"fpu\t\t: yes\nfpu_exception\t: yes\nflags\t\t: %s\n"+
			"address sizes\t: 48 bits physical, 48 bits virtual\n\n",
			i, max(f.CPUs, 1), i, max(f.CPUs, 1), f.CPUFlags)
	}
	return b.Bytes()
}

func (f *fs) keys(c *vfs.Caller) ([]byte, error) {
	if f.Keys == nil {
		return nil, nil
	}
	return f.Keys(c.Task), nil
}

func (f *fs) keyUsers() []byte {
	if f.KeyUsers == nil {
		return nil
	}
	return f.KeyUsers()
}

func (f *fs) loadavg() []byte {
	pids := f.Tasks.PIDs()
	last := 0
	if len(pids) > 0 {
		last = pids[len(pids)-1]
	}
	return fmt.Appendf(nil, "0.00 0.00 0.00 1/%d %d\n", max(len(pids), 1), last)
}

func (f *fs) stat() []byte {
	up := ticks(time.Since(f.Boot))
	n := int64(max(f.CPUs, 1))
	out := fmt.Appendf(nil, "cpu  0 0 0 %d 0 0 0 0 0 0\n", up*n)
	for i := range n {
		out = fmt.Appendf(out, "cpu%d 0 0 0 %d 0 0 0 0 0 0\n", i, up)
	}
	return fmt.Appendf(out, "intr 0\nctxt 0\nbtime %d\nprocesses %d\nprocs_running 1\nprocs_blocked 0\n",
		f.Boot.Unix(), len(f.Tasks.PIDs()))
}

func (f *fs) uptime() []byte {
	up := time.Since(f.Boot).Seconds()
	return fmt.Appendf(nil, "%.2f %.2f\n", up, up*float64(max(f.CPUs, 1)))
}

// interrupts is the title of a table with a column for each processor: none is
// counted.
func (f *fs) interrupts() []byte {
	out := []byte("          ")
	for i := range max(f.CPUs, 1) {
		out = fmt.Appendf(out, " CPU%-7d", i)
	}
	return append(out, '\n')
}

// pressure is a file of /proc/pressure without any.
func pressure(kinds ...string) (s string) {
	for _, kind := range kinds {
		s += kind + " avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
	}
	return s
}
