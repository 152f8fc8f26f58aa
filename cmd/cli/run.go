package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/megabin/megabin/converter/translate"
	"github.com/megabin/megabin/layers/image"
	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/runner"
	imagefs "github.com/megabin/megabin/runtime/vkernel/fs/image"
)

// runFlags are the flags of run.
type runFlags struct {
	interactive, tty bool
	env              []string
	dir, user        string
	volumes          []string
	entrypoint       string
	hostname         string
	net              string
	publish          []string
	readOnly, setID  bool
	strace, stats    bool
	strict           bool
	policy           []string
	audit            string
	trust            trustFlags
	memory           string
	tmpfsSize        string
	shmSize          string
	tmpfs            []string
	pids             int
	cpus             float64

	entrypointSet bool
}

func newRun() *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "run [flags] IMAGE [CMD ARG...]",
		Short: "Run a command of a converted image",
		Long: `Run starts a command of a converted image in this process, without any
privilege: its code is WebAssembly, its kernel is part of megabin. What it writes to
its file system is kept in memory and gone when it ends; directories of the
host appear in it only where -v says so.

Without --net it has no network but its own loopback interface, where its
processes can talk to each other; it cannot reach anything outside, and can be
reached only through the ports that -p opens (on all addresses of the host, unless IP says
which). With --net host its TCP and UDP sockets are this process's own.

A file runs only if its BLAKE3 hash is one of the image's recompiled ELFs, as the
original or as its carrier; anything else is refused with exit status 126. --policy
says how, by words with commas between:

  enforce         refuse (the default)
  permissive      grant executable memory that would be refused, and report it;
                  it can't run all the same, nor does execve start what it should not
  scripts=any     a "#!" script may be anything; its interpreter is a program (the default)
  scripts=listed  its hash must be listed too: convert lists the image's executable scripts

--audit writes each decision on what may be executed, also that it may, as a line of JSON:
time, pid, call (execve, mmap, mprotect, mremap), path, hash, decision (allowed,
refused, reported) and reason.`,
		Example: `  megabin run oci:debian-wasm ls -l /
  echo hello | megabin run -i oci:debian-wasm tr a-z A-Z
  megabin run -v "$PWD":/work -w /work oci:debian-wasm sort -o sorted words
  megabin run -p 8080:80 oci:nginx-wasm
  megabin run -p 127.0.0.1:6379:6379 oci:redis-wasm redis-server
  megabin run --strace oci:debian-wasm cat /etc/os-release
  megabin run --policy scripts=listed --audit audit.json oci:debian-wasm which ls`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			flags.entrypointSet = cmd.Flags().Changed("entrypoint")
			status, err := flags.run(cmd.Context(), args[0], args[1:], cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if status != 0 {
				return exitStatus(status)
			}
			return nil
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows IMAGE is the guest's
	flags.add(cmd.Flags())
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("net", oneOf(runner.NetNone, runner.NetHost)))
	return cmd
}

func (flags *runFlags) add(f *pflag.FlagSet) {
	f.BoolVarP(&flags.interactive, "interactive", "i", false, "give it our standard input; else it has none")
	f.BoolVarP(&flags.tty, "tty", "t", false, "let it use our terminal as its own")
	f.StringArrayVarP(&flags.env, "env", "e", nil, "set a variable, `K=V`; K alone takes ours")
	f.StringVarP(&flags.dir, "workdir", "w", "", "working directory `DIR`")
	f.StringVarP(&flags.user, "user", "u", "", "`USER`[:GROUP] by name or number")
	f.StringArrayVarP(&flags.volumes, "volume", "v", nil, "show SRC of the host at DST: `SRC:DST[:ro]`")
	f.StringVar(&flags.entrypoint, "entrypoint", "", "program `P` in place of the image's entrypoint and command")
	f.StringVar(&flags.hostname, "hostname", "", "`NAME` of the host as the command sees it")
	f.StringVar(&flags.net, "net", runner.NetNone, "network: none (a loopback interface of its own), host (the host's sockets and ports)")
	f.StringArrayVarP(&flags.publish, "publish", "p", nil, "open a port of the host for a server inside: `[IP:]HOST:GUEST[/udp]`")
	f.BoolVar(&flags.readOnly, "read-only", false, "refuse writes to the root file system")
	f.BoolVar(&flags.setID, "set-id", false, "heed files' set-id bits and capabilities, as sudo, su and passwd need of users other than root; else they are ignored")
	f.StringVar(&flags.memory, "memory", "", "bound of the memory of all processes, `BYTES` with b, k, m or g; over it the largest is killed")
	f.StringVar(&flags.tmpfsSize, "tmpfs-size", "", "bound of what files in memory take: what is changed in the root, in a memfd, in each --tmpfs; `BYTES` as with --memory, whose value is the default")
	f.StringVar(&flags.shmSize, "shm-size", "", "size of /dev/shm, `BYTES`; 64m by default")
	f.StringArrayVar(&flags.tmpfs, "tmpfs", nil, "an empty file system in memory at DST: `DST[:OPTION,...]` of size=BYTES, mode=OCTAL, ro, rw")
	f.IntVar(&flags.pids, "pids", 0, "bound of the `NUMBER` of processes and threads; 0 is none")
	f.Float64Var(&flags.cpus, "cpus", 0, "bound of processor time, as a `NUMBER` of processors; 0 is none")
	f.BoolVar(&flags.strace, "strace", false, "print each system call to stderr")
	f.StringSliceVar(&flags.policy, "policy", nil, "what may run: enforce or permissive; scripts=any or scripts=listed (`RULES`, see above)")
	f.StringVar(&flags.audit, "audit", "", "append decisions on what may run to `FILE`; - is standard output")
	flags.trust.add(f)
	f.BoolVar(&flags.strict, "strict", false, "recompile nothing on demand: code that conversion has missed ends the program with SIGSEGV")
	f.BoolVar(&flags.stats, "stats", false, "print counters of the machine to stderr at the end")
}

func (flags *runFlags) run(ctx context.Context, text string, args []string, errw io.Writer) (status int, err error) {
	began := time.Now()
	lateCollection()
	img, closeImage, err := open(ctx, text)
	if err != nil {
		return 0, err
	}
	defer closeImage()
	if err := flags.trust.verify(ctx, img); err != nil {
		return 0, fmt.Errorf("running %s: %w", text, err)
	}
	spec, closeCode, err := flags.spec(img, args)
	if err != nil {
		return 0, fmt.Errorf("running %s: %w", text, err)
	}
	defer closeCode()
	spec.Messages = errw
	if flags.strace {
		spec.Strace = errw
	}
	audit, err := openAudit(flags.audit)
	if err != nil {
		return 0, err
	}
	if audit != nil {
		defer audit.Close()
		spec.Audit = audit
	}
	ready := time.Since(began)
	result, err := runner.Run(ctx, spec)
	if flags.stats {
		printStats(errw, result.Stats, ready, time.Since(began))
	}
	return result.Code, err
}

// restlessVar, if set, makes the machine leave WebAssembly wherever it can
// (machine.Options.Restless). It is for megabin's own tests.
const restlessVar = "MEGABIN_RESTLESS"

// spec makes what the runner is to do of the flags and the image's config.
func (flags *runFlags) spec(img v1.Image, args []string) (s runner.Spec, closeCode func() error, err error) {
	config, err := img.ConfigFile()
	if err != nil {
		return s, nil, err
	}
	s = runner.Spec{
		Argv: flags.argv(config.Config, args), Env: flags.environment(config.Config.Env),
		Dir: firstOf(flags.dir, config.Config.WorkingDir), User: firstOf(flags.user, config.Config.User),
		Hostname: firstOf(flags.hostname, config.Config.Hostname), ReadOnly: flags.readOnly, SetID: flags.setID, Faults: flags.strace,
		Stdout: os.Stdout, Stderr: os.Stderr, TTY: flags.tty,
		Restless: os.Getenv(restlessVar) != "", Recompile: new(translate.Late).At,
	}
	if flags.strict {
		s.Recompile = nil
	}
	if len(s.Argv) == 0 {
		return s, nil, errors.New("the image has no command: give one")
	}
	if flags.interactive {
		s.Stdin = os.Stdin
	}
	if flags.tty && !term.IsTerminal(int(os.Stdin.Fd())) {
		return s, nil, errors.New("-t needs a terminal on standard input")
	}
	if s.Bounds, err = flags.bounds(); err != nil {
		return s, nil, err
	}
	if s.Mounts, err = flags.mounts(s.Bounds); err != nil {
		return s, nil, err
	}
	if s.Policy, err = parsePolicy(flags.policy); err != nil {
		return s, nil, err
	}
	s.Net = flags.net
	if s.Publish, err = parsePorts(flags.publish); err != nil {
		return s, nil, err
	}
	if s.CacheDir, err = cacheDir(cacheCode); err != nil {
		return s, nil, err
	}
	closeCode, err = openImage(&s, img)
	return s, closeCode, err
}

// bounds checks the flags that bound what the container uses.
func (flags *runFlags) bounds() (b runner.Bounds, err error) {
	if flags.pids < 0 || flags.cpus < 0 {
		return b, errors.New("--pids and --cpus must not be negative")
	}
	b = runner.Bounds{Tasks: flags.pids, CPUs: flags.cpus}
	for _, size := range []struct {
		flag, text string
		to         *uint64
	}{{"memory", flags.memory, &b.Memory}, {"tmpfs-size", flags.tmpfsSize, &b.Files}, {"shm-size", flags.shmSize, &b.Shm}} {
		if size.text == "" {
			continue
		}
		if *size.to, err = parseSize(size.text); err != nil {
			return b, fmt.Errorf("--%s %w", size.flag, err)
		}
	}
	return b, nil
}

// sizeUnits are the suffixes of sizes.
var sizeUnits = map[byte]uint64{'b': 1, 'k': 1 << 10, 'm': 1 << 20, 'g': 1 << 30}

// parseSize reads a number of bytes, not 0, with b, k, m or g behind it or nothing.
func parseSize(s string) (uint64, error) {
	digits, unit := strings.ToLower(s), uint64(1)
	if n := len(digits) - 1; n >= 0 && sizeUnits[digits[n]] != 0 {
		digits, unit = digits[:n], sizeUnits[digits[n]]
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n == 0 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q: want a number of bytes, such as 512m", s)
	}
	return n * unit, nil
}

// mounts are those of -v, then those of --tmpfs.
func (flags *runFlags) mounts(b runner.Bounds) ([]runner.Mount, error) {
	mounts, err := parseVolumes(flags.volumes)
	if err != nil {
		return nil, err
	}
	for _, text := range flags.tmpfs {
		m, err := parseTmpfs(text, b.FileSize())
		if err != nil {
			return nil, fmt.Errorf("--tmpfs %s: %w", text, err)
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// openImage sets the root and the units.
func openImage(s *runner.Spec, img v1.Image) (closeCode func() error, err error) {
	store, err := openStore()
	if err != nil {
		return nil, err
	}
	p, err := image.OpenProgram(store, img)
	if err != nil {
		return nil, err
	}
	s.Units = runner.NewUnits(p.Manifest, p.Megabinary, func(err error) {
		fmt.Fprintf(os.Stderr, "megabin: %v\n", err)
	})
	if s.Root, err = imagefs.FromLayers(p.Tree, store); err != nil {
		p.Close()
		return nil, err
	}
	return p.Close, nil
}

// argv is the image's entrypoint and command, or what replaces them.
func (flags *runFlags) argv(config v1.Config, args []string) []string {
	entrypoint := config.Entrypoint
	if flags.entrypointSet {
		entrypoint, config.Cmd = nil, nil
		if flags.entrypoint != "" {
			entrypoint = []string{flags.entrypoint}
		}
	}
	if len(args) == 0 {
		args = config.Cmd
	}
	return append(append([]string(nil), entrypoint...), args...)
}

// environment adds the variables of -e to the image's.
func (flags *runFlags) environment(env []string) []string {
	env = append([]string(nil), env...)
	for _, kv := range flags.env {
		name, _, ok := strings.Cut(kv, "=")
		if !ok {
			value, set := os.LookupEnv(name)
			if !set {
				continue
			}
			kv = name + "=" + value
		}
		env = append(without(env, name), kv)
	}
	return env
}

// without removes a variable from an environment.
func without(env []string, name string) []string {
	kept := env[:0]
	for _, kv := range env {
		if !strings.HasPrefix(kv, name+"=") {
			kept = append(kept, kv)
		}
	}
	return kept
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func printStats(w io.Writer, s machine.Stats, ready, all time.Duration) {
	fmt.Fprintf(w, `image opened in  %v
run in all       %v
parts compiled   %d (%s of wasm, %v)
parts loaded     %d
cache misses     %d of indirect calls
recompiled late  %d
unknown targets  %d
dispatched       %d
`, ready.Round(time.Microsecond), all.Round(time.Microsecond),
		s.PartsCompiled, size(int64(s.CompiledBytes)), time.Duration(s.CompileNanos).Round(time.Microsecond),
		s.PartsLoaded, s.Resolves, s.OnDemand, s.Missing, s.Reentries)
}

// firstCollection is how much of the heap is garbage at the first collection,
// in percent of the runtime's least heap, 4 MiB: at 32 MiB.
const firstCollection = 800

// lateCollection puts the first garbage collection off, as most starts need
// no more memory than that; after it collections are as ever.
func lateCollection() {
	if os.Getenv("GOGC") != "" {
		return
	}
	usual := debug.SetGCPercent(firstCollection)
	canary := new([64]byte)
	runtime.AddCleanup(canary, func(percent int) { debug.SetGCPercent(percent) }, usual)
}
