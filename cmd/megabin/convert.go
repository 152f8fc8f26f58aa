package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/megabin/megabin/converter"
	"github.com/megabin/megabin/converter/translate"
	"github.com/megabin/megabin/layers/image"
	"github.com/spf13/cobra"
)

// convertFlags are the flags of convert.
type convertFlags struct {
	keepNative bool
	jobs       int
	report     string
}

func newConvert() *cobra.Command {
	var flags convertFlags
	cmd := &cobra.Command{
		Use:   "convert SOURCE TARGET",
		Short: "Recompile an image to WebAssembly",
		Long: `Convert finds every ELF of a linux/amd64 image by its content, recompiles each
distinct one once, and writes an image in which carriers (the same files with
their code zeroed) stand in their places and one more layer holds the code as
WebAssembly. Entrypoint, environment, user and history stay. An ELF that can't
be recompiled is left as it is, reported, and never runs.

Converting the same image again gives the same digest. What was recompiled once
is kept in $XDG_CACHE_HOME/megabin and costs nothing the next time.`,
		Example: `  megabin convert oci:debian oci:debian-wasm
  megabin convert docker://localhost:5000/app:1 docker://localhost:5000/app:1-wasm
  megabin convert --report report.json dir:./rootfs oci-archive:rootfs.tar
  megabin convert --keep-native oci:debian oci:both   # still runs under runc`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			err := flags.convert(ctx, args[0], args[1], cmd.ErrOrStderr())
			if ctx.Err() != nil {
				return errors.New("interrupted; nothing was written")
			}
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&flags.keepNative, "keep-native", false, "leave the original ELFs in place, so that the image also runs natively")
	f.IntVarP(&flags.jobs, "jobs", "j", 0, "`N` ELFs recompiled at a time (default: one per processor)")
	f.StringVar(&flags.report, "report", "", "write what was done with each ELF to `FILE`, as JSON")
	return cmd
}

func (flags *convertFlags) convert(ctx context.Context, source, target string, errw io.Writer) error {
	from, err := image.Parse(source)
	if err != nil {
		return err
	}
	to, err := image.Parse(target)
	if err != nil {
		return err
	}
	if err := to.CheckTarget(); err != nil {
		return err
	}
	img, closeImage, err := from.Open(ctx)
	if err != nil {
		return err
	}
	defer closeImage()
	cache, err := cacheDir(cacheUnits)
	if err != nil {
		return err
	}
	bar := newProgress(errw)
	converted, report, err := converter.Convert(ctx, img, converter.Options{
		Translate:  translate.ELF,
		Translator: converter.TranslatorVersion(),
		CacheDir:   cache,
		Jobs:       flags.jobs,
		KeepNative: flags.keepNative,
		Progress:   bar,
	})
	if err != nil {
		bar.finish()
		return fmt.Errorf("converting %s: %w", from, err)
	}
	bar.Phase("writing "+to.String(), 0)
	err = to.Write(ctx, converted, bar.Add)
	bar.finish()
	if err != nil {
		return fmt.Errorf("writing %s: %w", to, err)
	}
	return flags.tell(report, errw)
}

// tell writes the report: as JSON to the file asked for, as a table to a
// terminal, and its sum in any case.
func (flags *convertFlags) tell(report *converter.Report, errw io.Writer) error {
	if flags.report != "" {
		err := writeFile(flags.report, func(f *os.File) error {
			enc := json.NewEncoder(f)
			enc.SetIndent("", "\t")
			return enc.Encode(report)
		})
		if err != nil {
			return err
		}
	}
	if isTerminal(errw) {
		if err := printTable(errw, converter.Header, report.Rows()); err != nil {
			return err
		}
	}
	t := report.Total
	_, err := fmt.Fprintf(errw, "%d ELF files (%s), %d from the cache, %d can't run; %s of the code covered, %d of %d instructions not translated\n%s\n",
		t.ELFs, size(t.Size), t.Cached, t.Refused, percent(t.CoveredBytes, t.ExecutableBytes),
		t.Untranslated, t.Instructions+t.Untranslated, report.Result)
	return err
}

func printTable(w io.Writer, header []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, cell)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
