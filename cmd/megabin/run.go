package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/megabin/megabin/layers/image"
	"github.com/megabin/megabin/layers/manifest"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/layers/tarfs"
	"github.com/megabin/megabin/runtime/runner"
	fsimage "github.com/megabin/megabin/runtime/vkernel/fs/image"
)

// runFlags are the flags of run.
type runFlags struct {
	interactive, tty      bool
	env, volumes          []string
	dir, user, entrypoint string
	hostname              string
	readOnly              bool
	strace, stats         bool
}

func newRun() *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "run [flags] IMAGE [COMMAND ARG...]",
		Short: "Run a command in a converted image",
		Long: `Run starts a command of a converted image, in this process and without
privileges. What the command writes is kept in memory and gone at its end. A program
whose hash is not in the image's manifest is refused.

Without COMMAND the image's own command runs. The exit status is the command's;
128+n when signal n ended it; 125 when megabin itself failed; 126 when the command was
refused or is not executable; 127 when there is no such command.`,
		Example: `  megabin run oci:debian-wasm ls -l /
  megabin run -i oci:debian-wasm sha256sum <file
  megabin run -v $PWD:/work:ro -w /work oci:debian-wasm wc -l README.md
  megabin run --strace oci:debian-wasm true`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			code, err := flags.run(cmd.Context(), args[0], args[1:])
			if err != nil {
				return err
			}
			return exitStatus(code)
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.BoolVarP(&flags.interactive, "interactive", "i", false, "pass standard input to the command")
	f.BoolVarP(&flags.tty, "tty", "t", false, "standard input and output are the command's terminal")
	f.StringArrayVarP(&flags.env, "env", "e", nil, "set environment variable `K=V`; K alone takes it from here")
	f.StringVarP(&flags.dir, "workdir", "w", "", "working `DIR`ectory")
	f.StringVarP(&flags.user, "user", "u", "", "run as `USER[:GROUP]`, names or numbers")
	f.StringArrayVarP(&flags.volumes, "volume", "v", nil, "mount host `SRC:DST[:ro]` in the container")
	f.StringVar(&flags.entrypoint, "entrypoint", "", "run `PROGRAM` instead of the image's entrypoint")
	f.StringVar(&flags.hostname, "hostname", "", "host `NAME` in the container")
	f.BoolVar(&flags.readOnly, "read-only", false, "mount the root file system read-only")
	f.BoolVar(&flags.strace, "strace", false, "print each system call to standard error")
	f.BoolVar(&flags.stats, "stats", false, "print what the machine did to standard error at the end")
	return cmd
}

// run runs the command and returns its exit status.
func (flags *runFlags) run(ctx context.Context, source string, argv []string) (int, error) {
	ref, err := image.Parse(source)
	if err != nil {
		return 0, err
	}
	img, closeImage, err := ref.Open(ctx)
	if err != nil {
		return 0, err
	}
	defer closeImage()
	spec, err := flags.spec(img, argv)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", ref, err)
	}
	mb, err := openImage(img, spec)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", ref, err)
	}
	defer mb.Close()
	result, err := runner.Run(ctx, *spec)
	if flags.stats {
		fmt.Fprintf(os.Stderr, "megabin: %+v\n", result.Stats)
	}
	return result.Code, err
}

// spec is what the flags and the image's config ask for.
func (flags *runFlags) spec(img v1.Image, argv []string) (*runner.Spec, error) {
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config := file.Config
	s := &runner.Spec{
		Argv: command(config, flags.entrypoint, argv), Env: append(config.Env, fromHost(flags.env)...),
		Dir: first(flags.dir, config.WorkingDir), User: first(flags.user, config.User), Hostname: flags.hostname,
		ReadOnly: flags.readOnly, TTY: flags.tty, Faults: flags.strace, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	if len(s.Argv) == 0 {
		return nil, errors.New("the image has no command; name one after the image")
	}
	if flags.interactive {
		s.Stdin = os.Stdin
	}
	if flags.tty && !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, errors.New("-t needs a terminal on standard input")
	}
	if flags.strace {
		s.Strace = os.Stderr
	}
	if s.CacheDir, err = cacheDir(cacheCode); err != nil {
		return nil, err
	}
	s.Mounts, err = mounts(flags.volumes)
	return s, err
}

// command is the program and its arguments, by docker's rules.
func command(config v1.Config, entrypoint string, argv []string) []string {
	if entrypoint != "" {
		return append([]string{entrypoint}, argv...)
	}
	if len(argv) == 0 {
		argv = config.Cmd
	}
	return append(append([]string(nil), config.Entrypoint...), argv...)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// fromHost gives variables named without value that of this process.
func fromHost(env []string) []string {
	var out []string
	for _, e := range env {
		if !strings.Contains(e, "=") {
			v, ok := os.LookupEnv(e)
			if !ok {
				continue
			}
			e += "=" + v
		}
		out = append(out, e)
	}
	return out
}

// mounts parses SRC:DST[:ro|rw].
func mounts(volumes []string) ([]runner.Mount, error) {
	var out []runner.Mount
	for _, v := range volumes {
		part := strings.Split(v, ":")
		ro := len(part) == 3 && part[2] == "ro"
		if len(part) < 2 || len(part) > 3 || len(part) == 3 && !ro && part[2] != "rw" || !path.IsAbs(part[1]) {
			return nil, fmt.Errorf("volume %q: want SRC:DST or SRC:DST:ro with an absolute DST", v)
		}
		return nil, fmt.Errorf("volume %q: not supported yet", v)
	}
	return out, nil
}

// openImage unpacks the image where that has not been done, and gives s its
// tree and its code. The result is to be closed after the run.
func openImage(img v1.Image, s *runner.Spec) (io.Closer, error) {
	store, err := openStore()
	if err != nil {
		return nil, err
	}
	tree, err := image.Unpack(store, img)
	if err != nil {
		return nil, err
	}
	root, err := fsimage.FromLayers(tree, store)
	if err != nil {
		return nil, err
	}
	s.Root = root
	f, err := openUnits(tree, store, s)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// openUnits opens the manifest and the megabinary in the image's tree.
func openUnits(tree *tarfs.Tree, store *tarfs.Store, s *runner.Spec) (*os.File, error) {
	names := map[string]string{}
	for i := range tree.Nodes {
		if n := &tree.Nodes[i]; n.Name == path.Base(manifest.Name) || n.Name == path.Base(manifest.MegabinaryName) {
			names[tree.Path(i)] = store.BlobPath(n.Entry.Blob)
		}
	}
	m, mb := lookup(names, manifest.Name), lookup(names, manifest.MegabinaryName)
	if m == "" || mb == "" {
		return nil, fmt.Errorf("%w; megabin convert makes one that runs", image.ErrNotConverted)
	}
	text, err := os.ReadFile(m)
	if err != nil {
		return nil, err
	}
	list, err := manifest.Decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifest.Name, err)
	}
	f, err := os.Open(mb)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	opened, err := pack.Open(f, info.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", manifest.MegabinaryName, err)
	}
	if err := list.Verify(opened); err != nil {
		f.Close()
		return nil, err
	}
	s.Units = runner.NewUnits(list, opened, func(err error) { fmt.Fprintf(os.Stderr, "megabin: %v\n", err) })
	return f, nil
}

// lookup finds name, with or without a leading slash.
func lookup(names map[string]string, name string) string {
	name = strings.TrimPrefix(name, "/")
	return first(names[name], names["/"+name])
}
