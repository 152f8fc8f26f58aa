package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/megabin/megabin/integration/debian"
	"github.com/megabin/megabin/integration/oracle"
)

// traceImage has strace(1) and a shell.
var traceImage = debian.Spec{Suite: debian.Minbase.Suite, Include: []string{"strace"}}

// traceLoop traces the tests that standard input names, each task of test T to /out/T/t.TID. A test that hangs is killed.
const traceLoop = `while read t; do mkdir -p /out/$t; timeout -s KILL 20 strace -ff -o /out/$t/t /syscalls $t >/dev/null 2>&1 </dev/null; done`

// A tracer, or what the machine's kernel lacks, makes these tests another test.
var untraceable = regexp.MustCompile(`^(ptrace|key|sysfs_)`)

// racing are tests whose tasks do what they do in any order: who takes what from whom, what a
// signal interrupts, how often one looks, and what lies behind a structure.
var racing = strings.Fields(`background_read_stops clone_errors clone_exit_signal detached_threads dnotify_events exec_kills_threads
	fork_often_with_scattered_writes futex_requeue_pi_signals kcmp kill_a_stopped_process lease_interrupted many_short_threads master_closes
	mq_notify_by_signal msg_interrupted msg_many_processes msg_removed_while_waiting nocldstop openat2_arguments orphaned_stopped_group_is_hung_up
	pipe_blocks_when_full pipe_many_writers proc_namespaces proc_of_other_process protect_retried_deep read_interrupted_and_restarted
	seccomp_kills_a_thread sem_interrupted sem_undo_at_exit sem_waiters_in_order sem_waits sem_waits_for_zero setpgid_rules shm_attach_counts shm_info sigchld_siginfo
	stop_stops_all_threads system_and_popen_without_shell wait_interrupted wait_stopped_and_continued`)

func untraced(name string) bool {
	return untraceable.MatchString(name) || slices.Contains(racing, name)
}

// traceTries is how often a test is traced in all before its traces differ: tasks race. Known differences
// are given fewer, to be seen going.
const traceTries, knownTries = 12, 3

// TestTraces compares the system calls of the programs of testdata/syscalls natively and converted: what strace(1), which is
// converted too, tells of each task's calls, signals and end. Once natively and once converted in
// traceTries must be alike, for many tests' tasks race.
func TestTraces(t *testing.T) {
	if os.Getenv("MEGABIN_CONFORMANCE") == "" {
		t.Skip("set MEGABIN_CONFORMANCE: it takes minutes")
	}
	needRoot(t)
	native, converted := tracers(t)
	list, err := exec.Command(filepath.Join(need(t, syscallImage).rootfs, "syscalls")).Output()
	if err != nil {
		t.Fatal(err)
	}
	names := slices.DeleteFunc(strings.Fields(string(list)), untraced)
	want, got := map[string][]trace{}, map[string][]trace{}
	k, ids := loadKnown(t), map[string]bool{}
	left := names
	for try := range traceTries {
		for name, tr := range native(left) {
			want[name] = append(want[name], tr)
		}
		for name, tr := range converted(left) {
			got[name] = append(got[name], tr)
		}
		left = slices.DeleteFunc(slices.Clone(left), func(name string) bool {
			_, known := k["traces: "+name]
			return known && try+1 >= knownTries || differ(want[name], got[name]) == ""
		})
		if len(left) == 0 {
			break
		}
	}
	same := 0
	for _, name := range names {
		id := "traces: " + name
		ids[id] = true
		t.Run(name, func(t *testing.T) {
			var diffs []string
			if d := differ(want[name], got[name]); d != "" {
				diffs = append(diffs, d)
			} else {
				same++
			}
			k.judge(t, id, diffs)
		})
	}
	k.checkIDs(t, "traces", ids)
	t.Logf("%d of %d tests have the same traces", same, len(names))
}

// tracers trace tests natively and converted.
func tracers(t *testing.T) (native, converted func(names []string) map[string]trace) {
	img, err := debianImage(t.Context(), traceImage)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root")
	for _, args := range [][]string{{"-a", img.Rootfs, root}, {filepath.Join(need(t, syscallImage).rootfs, "syscalls"), root}} {
		if out, err := exec.Command("cp", args...).CombinedOutput(); err != nil {
			t.Fatalf("cp: %v: %s", err, out)
		}
	}
	ref := "oci:" + filepath.Join(t.TempDir(), "traces")
	if err := convert("dir:"+root, ref); err != nil {
		t.Fatal(err)
	}
	args := []string{"sh", "-c", traceLoop}
	native = func(names []string) map[string]trace {
		out := t.TempDir()
		cmd, err := oracle.Command(t.Context(), oracle.Spec{Rootfs: root, Dir: "/", Env: baseEnv, Args: args, Container: true, Binds: []oracle.Bind{{Source: out, Target: "/out"}}})
		if err != nil {
			t.Fatal(err)
		}
		return traced(t, cmd, names, out)
	}
	converted = func(names []string) map[string]trace {
		out := t.TempDir()
		return traced(t, exec.Command(megabin(), append([]string{"run", "--set-id", "-i", "-v", out + ":/out", ref}, args...)...), names, out)
	}
	return native, converted
}

// traced gives the traces that cmd makes of the named tests in out.
func traced(t *testing.T, cmd *exec.Cmd, names []string, out string) map[string]trace {
	t.Helper()
	cmd.Stdin = strings.NewReader(strings.Join(names, "\n") + "\n")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	all := map[string]trace{}
	for _, name := range names {
		tr, err := readTrace(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = tr
	}
	return all
}

// trace has the lines of each task, in the order in which the tasks began.
type trace [][]string

// readTrace reads what strace -ff has written to files of dir whose names end with the tasks' numbers.
func readTrace(dir string) (trace, error) {
	files, err := filepath.Glob(filepath.Join(dir, "t.*"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no traces in %s", dir)
	}
	var tasks []int
	for _, f := range files {
		n, err := strconv.Atoi(strings.TrimPrefix(filepath.Ext(f), "."))
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, n)
	}
	slices.Sort(tasks)
	var tr trace
	for _, n := range tasks {
		data, err := os.ReadFile(filepath.Join(dir, fmt.Sprint("t.", n)))
		if err != nil {
			return nil, err
		}
		tr = append(tr, normalise(string(data), tasks))
	}
	return tr, nil
}

// unlike are lines that are there by nature or by accident: calls that natively the vDSO answers; rseq, which there is
// none of (docs/vkernel.md); getrandom, which mkstemp calls again if it does not like the number; the start of the test program. What
// waits, for a lock, another task or a while, calls as often as it has to, may be interrupted by SIGCHLD, and glibc keeps
// the stacks of so many threads as there happen to be. Directories list their names in an order of their own, in which tests clear them away.
var unlike = regexp.MustCompile(`^(clock_gettime|clock_getres|gettimeofday|time|getcpu|getrandom|rseq|execve\("/syscalls"|readlink\("/proc/self/exe"|` +
	`futex\(|munmap\(|clock_nanosleep\(.*= 0|unlinkat\(\d|--- SIGCHLD)|= \? ERESTART`)

// accidents are what depends on the machine, on time or on what else runs.
var accidents = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\s+= `), " = "},
	{regexp.MustCompile(`0x[0-9a-f]{5,}`), "ADDR"},
	{regexp.MustCompile(`/\* \d+ vars \*/`), "VARS"},
	{regexp.MustCompile(`(tv_n?u?sec|\w+_[acdorsu]time|st_(?:ino|size|blocks|dev)|f_\w+|sched_runtime|ru_\w+|tms_\w+)=[^,}]*`), "$1=N"},
	{regexp.MustCompile(`("/tmp/[a-z]+[-_ ]?)\w{6}(["/])`), "${1}XXXXXX$2"}, // mkstemp's
	{regexp.MustCompile(`^((?:shm|sem|msg)get\(.*) = \d+$`), "$1 = ID"},
	{regexp.MustCompile(`^((?:shm|sem|msg)\w+)\(\d+`), "$1(ID"},
	{regexp.MustCompile(`^((?:shm|sem|msg)ctl\(.*_INFO, .*) = \d+$`), "$1 = N"}, // the highest in use
	{regexp.MustCompile(`^(mq_\w+\("[a-z]+)\d+"`), `$1"`},
	{regexp.MustCompile(`^(read\(\d+, )"(?:\d+ \(|00400000-|\w*:?\\t|[0-9a-zA-Z_]*,?0{5}|[-0-9 ]+\\n).*`), "${1}what /proc tells"},
	{regexp.MustCompile(`^(readlink\(.*) = \d+$`), "$1 = N"},
	{regexp.MustCompile(`\b(pipe|socket|ipc|mnt|net|pid|uts|user|cgroup|time):\[\d+\]`), "$1:[N]"},
	{regexp.MustCompile(`^(get(?:pp?id|pgrp|pgid|sid)\(.*) = \d+$`), "$1 = N"}, // may be the tracer's
	{regexp.MustCompile(`(superseded by execve in|pid changed to) (?:pid )?\d+`), "$1 N"},
	{regexp.MustCompile(`^(clone3\(\{.*\}), \d+\)`), "$1, SIZE)"},
	{regexp.MustCompile(`^(sched_getaffinity\(.*) = \d+$`), "$1 = N"}, // bytes, of the processors that could be
	{regexp.MustCompile(`^(rt_sigreturn\(.*\)) = .*$`), "$1"},         // rax, if it is anything's
}

// withTasks are where numbers may be those of tasks.
var withTasks = regexp.MustCompile(`^(?:clone3?|v?fork|gettid|getp?pid|wait4|waitid|t?g?kill|set_tid_address|[gs]etp?gid|getpgrp|[gs]etsid|pidfd_open|rt_t?g?sigqueueinfo|kcmp|` +
	`process_vm_\w+|get_robust_list|sched_\w+|[gs]etpriority|ioprio_[gs]et|fcntl|ioctl|futex|seccomp|readlink|capget|semctl)\(.*|si_pid=\d+|pid=\d+|^prlimit64\(\d+|"/proc/\d+|"ids", "\d+"`)

var number = regexp.MustCompile(`\b\d+\b`)

// normalise gives the lines of a task's trace without what differs from run to run.
func normalise(text string, tasks []int) []string {
	name := func(s string) string {
		n, err := strconv.Atoi(s)
		if i, found := slices.BinarySearch(tasks, n); found && err == nil {
			return fmt.Sprintf("TASK%d", i)
		}
		return s
	}
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if unlike.MatchString(line) {
			continue
		}
		for _, n := range accidents {
			line = n.pattern.ReplaceAllString(line, n.with)
		}
		line = withTasks.ReplaceAllStringFunc(line, func(s string) string { return number.ReplaceAllStringFunc(s, name) })
		lines = append(lines, line)
	}
	return lines
}

// differ tells how the last of two lists of traces differ, or gives "" if one trace is in both.
func differ(want, got []trace) string {
	d := "no trace"
	for _, w := range want {
		for _, g := range got {
			if d = unlikeAt(w, g); d == "" {
				return ""
			}
		}
	}
	return d
}

func unlikeAt(want, got trace) string {
	if len(want) != len(got) {
		return fmt.Sprintf("%d tasks, natively %d", len(got), len(want))
	}
	at := func(lines []string, i int) string {
		if i < len(lines) {
			return lines[i]
		}
		return "nothing"
	}
	for i := range want {
		for k := range max(len(want[i]), len(got[i])) {
			if w, g := at(want[i], k), at(got[i], k); w != g {
				return fmt.Sprintf("task %d, line %d:\n  %s\nnatively\n  %s", i, k+1, g, w)
			}
		}
	}
	return ""
}
