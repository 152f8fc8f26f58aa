package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/megabin/megabin/converter"
	"github.com/megabin/megabin/converter/translate"
	"github.com/megabin/megabin/layers/image"
	"github.com/spf13/cobra"
)

// convertFlags are the flags of convert.
type convertFlags struct {
	keepNative bool
	strict     bool
	platform   string
	jobs       int
	report     string
	index      bool
	all        bool
	dryRun     bool
	referrer   bool
	units      string
	signFlags
}

func newConvert() *cobra.Command {
	var flags convertFlags
	cmd := &cobra.Command{
		Use:   "convert SOURCE [TARGET]",
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
  megabin convert --keep-native oci:debian oci:both   # still runs under runc
  megabin convert --index-native oci:debian docker://localhost:5000/debian
  megabin convert --all-platforms docker://localhost:5000/app docker://localhost:5000/app-wasm
  megabin convert --dry-run docker://localhost:5000/app
  megabin convert --referrer docker://localhost:5000/debian   # the tag stays`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: completeImages(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := Interruptible(cmd.Context())
			defer stop()
			target := ""
			if len(args) > 1 {
				target = args[1]
			}
			err := flags.convert(ctx, args[0], target, cmd.ErrOrStderr())
			if ctx.Err() != nil {
				return errors.New("interrupted; nothing was written")
			}
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&flags.keepNative, "keep-native", false, "leave the original ELFs in place, so that the image also runs natively")
	f.BoolVar(&flags.strict, "strict", false, "fail where an ELF, or with --all-platforms an image, can't be converted; else it stays as it is")
	f.StringVar(&flags.platform, "platform", "linux/amd64", "which image of an index to convert, `linux/amd64[/VARIANT]`; without a variant the lowest")
	f.IntVarP(&flags.jobs, "jobs", "j", 0, "`N` ELFs recompiled at a time (default: one per processor)")
	f.StringVar(&flags.report, "report", "", "write what was done with each ELF to `FILE`: as one page if it ends with .html, else as JSON")
	f.BoolVar(&flags.index, "index-native", false, "write an index of the source and the converted image, which one tag serves to any runtime")
	f.BoolVar(&flags.all, "all-platforms", false, "write an index like the source's, with its linux/amd64 images converted")
	f.BoolVar(&flags.referrer, "referrer", false, "attach the converted image to SOURCE, which stays as it is, in its registry")
	f.StringVar(&flags.units, "unit-cache", "", "share what is recompiled in the registry's repository `docker://HOST/REPO`")
	f.BoolVar(&flags.dryRun, "dry-run", false, "list what would be recompiled and what is in the cache, and write nothing")
	flags.signFlags.add(f)
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("platform", oneOf("linux/amd64", "linux/amd64/v1", "linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v4")))
	cmd.MarkFlagsMutuallyExclusive("sign-key", "all-platforms")
	cmd.MarkFlagsMutuallyExclusive("platform", "all-platforms")
	cmd.MarkFlagsMutuallyExclusive("index-native", "all-platforms", "referrer")
	cmd.MarkFlagsMutuallyExclusive("index-native", "keep-native")
	return cmd
}

func (flags *convertFlags) convert(ctx context.Context, source, target string, errw io.Writer) error {
	began := time.Now()
	from, err := image.Parse(source)
	if err != nil {
		return err
	}
	variant, err := image.ParseVariant(flags.platform)
	if err != nil {
		return err
	}
	if flags.dryRun {
		return flags.plan(ctx, from, variant, errw)
	}
	to, err := flags.target(from, target)
	if err != nil {
		return err
	}
	bar := newProgress(errw)
	options, err := flags.options(bar)
	if err != nil {
		return err
	}
	spendMemory(options.Jobs)
	job := &conversion{flags, from, to, variant, options, bar}
	run := job.one
	if flags.all {
		run = job.all
	}
	reports, err := run(ctx)
	bar.finish()
	if err != nil {
		return err
	}
	for _, r := range reports {
		if err := flags.tell(r, errw); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(errw, "in %.1f s\n", time.Since(began).Seconds())
	return err
}

// target is where the result goes; a referrer goes to its source.
func (flags *convertFlags) target(from image.Reference, target string) (image.Reference, error) {
	if flags.referrer {
		if target != "" || from.Transport != image.Registry {
			return from, errors.New("--referrer goes with a SOURCE in a registry and no TARGET")
		}
		return from, nil
	}
	if target == "" {
		return from, errors.New("no TARGET: where is the result to go?")
	}
	to, err := image.Parse(target)
	if err != nil {
		return to, err
	}
	return to, to.CheckTarget()
}

func (flags *convertFlags) options(p converter.Progress) (o converter.Options, err error) {
	o = converter.Options{
		Translate: translate.ELF, Translator: converter.TranslatorVersion(),
		Jobs: flags.jobs, KeepNative: flags.keepNative || flags.referrer, Strict: flags.strict, Progress: p,
	}
	if flags.units != "" {
		if o.Units, err = image.OpenUnits(flags.units); err != nil {
			return o, err
		}
	}
	o.CacheDir, err = cacheDir(cacheUnits)
	return o, err
}

// conversion is a call of convert.
type conversion struct {
	*convertFlags
	from, to image.Reference
	variant  string // of the source
	options  converter.Options
	bar      *progress
}

// one converts one image.
func (c *conversion) one(ctx context.Context) ([]*converter.Report, error) {
	img, closeImage, err := c.from.OpenSource(ctx, c.variant)
	if err != nil {
		return nil, err
	}
	defer closeImage()
	converted, report, err := converter.Convert(ctx, img, c.options)
	if err != nil {
		return nil, fmt.Errorf("converting %s: %w", c.from, err)
	}
	if converted, err = c.sign(ctx, converted); err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	if c.referrer {
		if converted, err = converter.Referrer(img, converted); err != nil {
			return nil, err
		}
	}
	digest, err := converted.Digest()
	if err != nil {
		return nil, err
	}
	report.Result = digest.String()
	c.bar.Phase("writing "+c.to.String(), 0)
	if err := c.write(ctx, img, converted); err != nil {
		return nil, fmt.Errorf("writing %s: %w", c.to, err)
	}
	return []*converter.Report{report}, nil
}

// write writes the result: an index, but where a referrer is wanted. A layout
// is an index by itself, and a docker archive has no place for one.
func (c *conversion) write(ctx context.Context, source, converted v1.Image) (err error) {
	var idx v1.ImageIndex
	switch {
	case c.referrer:
		return c.to.WriteReferrer(ctx, converted)
	case c.index:
		idx, err = converter.WithNative(source, converted)
	case c.to.Transport == image.Registry:
		idx, err = converter.Alone(converted)
	default:
		return c.to.Write(ctx, converted, c.bar.Add)
	}
	if err != nil {
		return err
	}
	return c.to.WriteIndex(ctx, idx, c.bar.Add)
}

// all converts what an index has for linux/amd64.
func (c *conversion) all(ctx context.Context) ([]*converter.Report, error) {
	idx, closeIndex, err := c.from.OpenIndex(ctx)
	if err != nil {
		return nil, err
	}
	defer closeIndex()
	result, reports, err := converter.ConvertIndex(ctx, idx, c.options)
	if err != nil {
		return nil, fmt.Errorf("converting %s: %w", c.from, err)
	}
	c.bar.Phase("writing "+c.to.String(), 0)
	if err := c.to.WriteIndex(ctx, result, c.bar.Add); err != nil {
		return nil, fmt.Errorf("writing %s: %w", c.to, err)
	}
	return reports, nil
}

// tell writes the report: as JSON to the file asked for, as a table to a
// terminal, and its sum in any case.
func (flags *convertFlags) tell(report *converter.Report, errw io.Writer) error {
	if flags.report != "" {
		err := writeFile(flags.report, func(f *os.File) error {
			if filepath.Ext(flags.report) == ".html" {
				return report.WriteHTML(f)
			}
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
	if err := printTotal(errw, report); err != nil {
		return err
	}
	l, m := report.Layers, report.Megabinary
	_, err := fmt.Fprintf(errw, "layers: %s, the source's %s (%.2f×); %d functions, %d distinct\n%s\n",
		size(l.ResultBytes), size(l.SourceBytes), float64(l.ResultBytes)/float64(max(l.SourceBytes, 1)), m.Functions, m.Bodies, report.Result)
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
