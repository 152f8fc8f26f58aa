package proc

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// ticks converts to clock ticks of USER_HZ, 100 a second.
func ticks(d time.Duration) int64 { return int64(d / (time.Second / 100)) }

func readComm(_ *fs, t Task) []byte { return []byte(t.Comm() + "\n") }

func writeComm(t Task, p []byte) error {
	t.SetComm(string(bytes.TrimSuffix(p, []byte("\n"))))
	return nil
}

func readLogin(_ *fs, t Task) []byte {
	user, _ := t.Login()
	return strconv.AppendUint(nil, uint64(user), 10)
}

func readSession(_ *fs, t Task) []byte {
	_, session := t.Login()
	return strconv.AppendUint(nil, uint64(session), 10)
}

// writeLogin is what pam_loginuid does to who logs in.
func writeLogin(t Task, p []byte) error {
	user, err := strconv.ParseUint(string(bytes.TrimSuffix(p, []byte("\n"))), 10, 32)
	if err != nil {
		return unix.EINVAL
	}
	return t.SetLogin(uint32(user))
}

// stateNames are the words of status for the letters of State.
var stateNames = map[byte]string{
	'R': "R (running)", 'S': "S (sleeping)", 'D': "D (disk sleep)",
	'T': "T (stopped)", 't': "t (tracing stop)", 'Z': "Z (zombie)", 'X': "X (dead)",
}

func readStatus(f *fs, t Task) []byte {
	s := t.Status()
	var b bytes.Buffer
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, name+":\t"+format+"\n", args...)
	}
	line("Name", "%s", escape(t.Comm(), "\n\\"))
	line("Umask", "%04o", s.Umask)
	line("State", "%s", stateNames[s.State])
	line("Tgid", "%d", s.PID)
	line("Ngid", "0")
	line("Pid", "%d", s.TID)
	line("PPid", "%d", s.PPID)
	line("TracerPid", "%d", s.Tracer)
	line("Uid", "%d\t%d\t%d\t%d", s.UID[0], s.UID[1], s.UID[2], s.UID[3])
	line("Gid", "%d\t%d\t%d\t%d", s.GID[0], s.GID[1], s.GID[2], s.GID[3])
	line("FDSize", "%d", s.FDSize)
	b.WriteString("Groups:\t")
	for _, g := range s.Groups {
		fmt.Fprintf(&b, "%d ", g)
	}
	b.WriteString("\n")
	line("NStgid", "%d", s.PID)
	line("NSpid", "%d", s.TID)
	line("NSpgid", "%d", s.PGID)
	line("NSsid", "%d", s.SID)
	for _, size := range []struct {
		name  string
		bytes uint64
	}{
		{"VmPeak", s.VM}, {"VmSize", s.VM}, {"VmLck", 0}, {"VmPin", 0}, {"VmHWM", s.RSS}, {"VmRSS", s.RSS},
		{"VmData", s.Data}, {"VmStk", s.Stack}, {"VmExe", s.Text}, {"VmLib", 0}, {"VmPTE", 0}, {"VmSwap", 0},
	} {
		line(size.name, "%8d kB", size.bytes/1024)
	}
	line("Threads", "%d", s.Threads)
	line("SigQ", "0/30000")
	for _, set := range []struct {
		name string
		bits uint64
	}{
		{"SigPnd", s.Pending}, {"ShdPnd", s.SharedPending}, {"SigBlk", s.Blocked}, {"SigIgn", s.Ignored},
		{"SigCgt", s.Caught}, {"CapInh", s.Caps[0]}, {"CapPrm", s.Caps[1]}, {"CapEff", s.Caps[2]},
		{"CapBnd", s.Caps[3]}, {"CapAmb", s.Caps[4]},
	} {
		line(set.name, "%016x", set.bits)
	}
	line("NoNewPrivs", "%d", boolInt(s.NoNewPrivs))
	line("Seccomp", "%d", s.Seccomp[0])
	line("Seccomp_filters", "%d", s.Seccomp[1])
	line("Cpus_allowed", "%s", linux.CPUMask(s.CPUs, f.CPUs))
	line("Cpus_allowed_list", "%s", linux.CPUList(s.CPUs))
	line("Mems_allowed", "%s00000001", strings.Repeat("00000000,", 31)) // of 1024 nodes
	line("Mems_allowed_list", "0")
	line("voluntary_ctxt_switches", "0")
	line("nonvoluntary_ctxt_switches", "0")
	return b.Bytes()
}

func boolInt(v bool) int {
	if v {
		return 1
	}
	return 0
}

// readStat: the 52 fields of proc_pid_stat(5).
func readStat(_ *fs, t Task) []byte {
	s := t.Status()
	fields := []any{
		s.PPID, s.PGID, s.SID, s.TTY, s.TPGID, 0, 0, 0, 0, 0,
		ticks(s.User), ticks(s.System), 0, 0, 20 + s.Nice, s.Nice, s.Threads, 0,
		ticks(s.Start), s.VM, s.RSS / linux.PageSize, uint64(1<<64 - 1),
		s.Code[0], s.Code[1], s.StackStart, 0, 0, s.Pending, s.Blocked, s.Ignored, s.Caught, 0, 0, 0,
		s.ExitSignal, 0, 0, 0, 0, 0, 0, 0, 0, s.BrkStart, s.Args[0], s.Args[1], s.Env[0], s.Env[1], 0,
	}
	out := fmt.Appendf(nil, "%d (%s) %c", s.TID, t.Comm(), s.State)
	for _, f := range fields {
		out = fmt.Appendf(out, " %d", f)
	}
	return append(out, '\n')
}

func readStatm(_ *fs, t Task) []byte {
	s := t.Status()
	pages := func(n uint64) uint64 { return n / linux.PageSize }
	return fmt.Appendf(nil, "%d %d %d %d 0 %d 0\n",
		pages(s.VM), pages(s.RSS), pages(s.Text), pages(s.Text), pages(s.Data+s.Stack))
}

func readMaps(_ *fs, t Task) []byte {
	var b bytes.Buffer
	for _, m := range t.Maps() {
		b.WriteString(m.line())
	}
	return b.Bytes()
}

// line is a line of maps.
func (m *Mapping) line() string {
	perm := []byte("---p")
	for i, bit := range []int{unix.PROT_READ, unix.PROT_WRITE, unix.PROT_EXEC} {
		if m.Prot&bit != 0 {
			perm[i] = "rwx"[i]
		}
	}
	if m.Shared {
		perm[3] = 's'
	}
	head := fmt.Sprintf("%08x-%08x %s %08x %02x:%02x %d ",
		m.Start, m.End, perm, m.Offset, unix.Major(m.Dev), unix.Minor(m.Dev), m.Ino)
	if m.Name != "" {
		head = fmt.Sprintf("%-73s%s", head, escape(m.Name, "\n"))
	}
	return head + "\n"
}

// limitNames are the rows of limits by RLIMIT_* number, with their units.
var limitNames = [...][2]string{
	{"Max cpu time", "seconds"}, {"Max file size", "bytes"}, {"Max data size", "bytes"},
	{"Max stack size", "bytes"}, {"Max core file size", "bytes"}, {"Max resident set", "bytes"},
	{"Max processes", "processes"}, {"Max open files", "files"}, {"Max locked memory", "bytes"},
	{"Max address space", "bytes"}, {"Max file locks", "locks"}, {"Max pending signals", "signals"},
	{"Max msgqueue size", "bytes"}, {"Max nice priority", ""}, {"Max realtime priority", ""},
	{"Max realtime timeout", "us"},
}

func readLimits(_ *fs, t Task) []byte {
	out := fmt.Appendf(nil, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units")
	for i, l := range t.Limits() {
		if i < len(limitNames) {
			out = fmt.Appendf(out, "%-25s %-20s %-20s ", limitNames[i][0], limit(l.Cur), limit(l.Max))
			if unit := limitNames[i][1]; unit != "" {
				out = fmt.Appendf(out, "%-10s", unit)
			}
			out = append(out, '\n')
		}
	}
	return out
}

func limit(n uint64) string {
	if n == ^uint64(0) {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

// escape writes the bytes of s that are in special as octal escapes.
func escape(s, special string) string {
	if !strings.ContainsAny(s, special) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(special, s[i]) >= 0 {
			fmt.Fprintf(&b, "\\%03o", s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// mountSpecial are the bytes that mounts and mountinfo escape.
const mountSpecial = " \t\n\\#"

// eachMount calls fn for the mounts that t can see.
func eachMount(f *fs, t Task, fn func(m *vfs.Mount, point string)) {
	context := t.FSContext()
	if context == nil {
		return
	}
	root := context.Root()
	for _, m := range f.NS.Mounts() {
		if point, ok := f.NS.MountPoint(m, root); ok {
			fn(m, escape(point, mountSpecial))
		}
	}
}

func readMounts(f *fs, t Task) (out []byte) {
	eachMount(f, t, func(m *vfs.Mount, point string) {
		out = fmt.Appendf(out, "%s %s %s %s 0 0\n",
			escape(m.Source(), mountSpecial), point, m.Super().FS().Type(), m.Options())
	})
	return out
}

func readMountinfo(f *fs, t Task) (out []byte) {
	eachMount(f, t, func(m *vfs.Mount, point string) {
		parent := m.ID()
		if at := m.At(); at.Ok() {
			parent = at.Mount.ID()
		}
		dev := m.Super().Dev()
		out = fmt.Appendf(out, "%d %d %d:%d %s %s %s - %s %s rw\n", m.ID(), parent,
			unix.Major(dev), unix.Minor(dev), escape(m.RootName(), mountSpecial), point, m.Options(),
			m.Super().FS().Type(), escape(m.Source(), mountSpecial))
	})
	return out
}

// readSchedstat is the time on a processor, the time waited for one, both in
// nanoseconds, and the number of times it got one.
func readSchedstat(_ *fs, t Task) []byte {
	s := t.Status()
	return fmt.Appendf(nil, "%d 0 0\n", (s.User + s.System).Nanoseconds())
}
