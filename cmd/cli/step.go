package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/megabin/megabin/converter"
	"github.com/spf13/cobra"
)

// Convert does a step of a conversion, shows what it is doing, and tells what
// came of it.
func Convert(cmd *cobra.Command, step func(context.Context, converter.Progress) (*converter.Report, error)) error {
	ctx, stop := Interruptible(cmd.Context())
	defer stop()
	errw := cmd.ErrOrStderr()
	bar := newProgress(errw)
	spendMemory(0)
	report, err := step(ctx, bar)
	bar.finish()
	if err != nil {
		return err
	}
	for _, e := range report.ELFs {
		if e.Refused != "" {
			fmt.Fprintf(errw, "can't run: %s: %s\n", e.Paths[0], e.Refused)
		}
	}
	return printTotal(errw, report)
}

// printTotal tells the sum of a report.
func printTotal(w io.Writer, r *converter.Report) error {
	t := r.Total
	_, err := fmt.Fprintf(w, "%d ELF files (%s), %d from the cache, %d can't run; %s of the code covered, %d of %d instructions not translated\n",
		t.ELFs, size(t.Size), t.Cached, t.Refused, percent(t.CoveredBytes, t.ExecutableBytes),
		t.Untranslated, t.Instructions+t.Untranslated)
	return err
}

// Interruptible is a context that an interrupt cancels. A second one ends the
// process: nothing that is written under its own name is incomplete.
func Interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
