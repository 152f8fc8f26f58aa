// Package cli is the command line of megabin. Each file is one subcommand: its
// flags become the options of a package that does the work, and nothing else
// happens here. It knows nothing of BuildKit: what a program links is
// initialized at each of its starts, and a start is what people wait for, so
// the frontend's subcommand is added by the program that is its image.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Exit statuses, as docker's: what the guest ends with is passed on, and
// these are our own.
const (
	statusError         = 125 // megabin itself failed
	statusNotExecutable = 126 // the command was refused or is not executable
	statusNotFound      = 127 // there is no such command
)

// Main does what the process's arguments say, with further subcommands, and
// ends the process.
func Main(more ...*cobra.Command) {
	os.Exit(execute(context.Background(), newRoot(more...), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// exitStatus is an error that has been reported and only carries the status.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// execute runs a command line and returns the exit status.
func execute(ctx context.Context, root *cobra.Command, args []string, in io.Reader, out, errw io.Writer) int {
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	err := root.ExecuteContext(ctx)
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintf(errw, "megabin: %v\n", err)
	return statusError
}

func newRoot(more ...*cobra.Command) *cobra.Command {
	root := &cobra.Command{
		Use:   "megabin",
		Short: "Run Linux container images as WebAssembly",
		Long: `Megabin recompiles every executable and library of a linux/amd64 image from
x86-64 machine code to WebAssembly, ahead of time, and runs the result in one
unprivileged process. What was not recompiled can't run.

Images are named as

  oci:DIR[:TAG]           a directory in OCI layout
  oci-archive:FILE[:TAG]  a tar file in OCI layout
  docker-archive:FILE     a tar file as docker save makes it
  dir:ROOTFS              a directory that is a root file system (source only)
  docker://HOST/REPO:TAG  a registry; a bare HOST/REPO:TAG means the same

Exit status: the guest's own with run, 128+n after signal n; 125 when megabin
itself fails, 126 when the command was refused or is not executable, 127 when
there is no such command.`,
		Example: `  megabin convert oci:debian oci:debian-wasm
  megabin run oci:debian-wasm ls -l /
  megabin inspect oci:debian-wasm`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newConvert(), newRun(), newLift(), newPack(), newHash(), newInspect(), newCheck(), newSign(), newPrune(), newVersion())
	root.AddCommand(more...)
	return root
}
