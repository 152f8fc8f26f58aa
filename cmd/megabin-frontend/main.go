// Command megabin-frontend is megabin as the image that a Dockerfile's first
// line names holds it: with the subcommand that serves BuildKit.
package main

import (
	"context"
	"runtime/debug"

	"github.com/megabin/megabin/cmd/cli"
	"github.com/megabin/megabin/converter"
	"github.com/megabin/megabin/converter/translate"
	"github.com/megabin/megabin/frontend"
	"github.com/spf13/cobra"
)

// frontendMemory is how much memory the frontend takes before it collects, in
// bytes.
const frontendMemory = 256 << 20

func main() { cli.Main(newFrontend()) }

func newFrontend() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "frontend",
		Short: "Serve BuildKit as a frontend",
		Long: `Frontend answers BuildKit, which starts it in a container of the image that a
Dockerfile's first line names. It builds what the Dockerfile says and converts
the result, layer by layer. Build arguments:

  MEGABIN_KEEP_NATIVE=true   leave the original ELFs in place
  MEGABIN_POLICY=strict      fail where an ELF or a platform can't be converted
  MEGABIN_REPORT=true        attest what was done with each ELF`,
		Example: `  # syntax=localhost:5000/megabin
  buildctl build --frontend gateway.v0 --opt source=localhost:5000/megabin ...`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := cli.Interruptible(cmd.Context())
			defer stop()
			// It lives for as long as a build waits for it, and needs less
			// than this: collecting on the way would only make it later.
			debug.SetGCPercent(-1)
			debug.SetMemoryLimit(frontendMemory)
			return frontend.Serve(ctx)
		},
	}
	cmd.AddCommand(newFrontendLayer(), newFrontendPack())
	return cmd
}

// frontendFlags are the flags of what the frontend runs in containers.
type frontendFlags struct {
	dirs       converter.LayerDirs
	cache      string
	meta       string
	keepNative bool
	strict     bool
}

func (flags *frontendFlags) options(p converter.Progress) converter.Options {
	return converter.Options{
		Translate: translate.ELF, Translator: converter.TranslatorVersion(),
		CacheDir: flags.cache, KeepNative: flags.keepNative, Strict: flags.strict, Progress: p,
	}
}

func (flags *frontendFlags) add(cmd *cobra.Command) {
	cmd.Hidden = true
	f := cmd.Flags()
	f.StringVar(&flags.dirs.Out, "out", "", "tree to be made, `DIR`")
	f.BoolVar(&flags.keepNative, "keep-native", false, "leave the original ELFs in place")
	f.BoolVar(&flags.strict, "strict", false, "fail where an ELF can't be recompiled")
}

func newFrontendLayer() *cobra.Command {
	var flags frontendFlags
	cmd := &cobra.Command{
		Use:   "layer",
		Short: "Convert a layer that is at hand as trees",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.run(cmd, func(ctx context.Context, o converter.Options) (*converter.Report, error) {
				res, err := converter.ConvertLayer(ctx, flags.dirs, o)
				if err != nil {
					return nil, err
				}
				return &res.Report, nil
			})
		},
	}
	flags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&flags.dirs.Lower, "lower", "", "tree below the layer, `DIR`")
	f.StringVar(&flags.dirs.Upper, "upper", "", "tree with the layer, `DIR`")
	f.StringVar(&flags.dirs.State, "state", "", "for what packing has to know, `DIR`")
	f.StringVar(&flags.cache, "cache", "", "of units, `DIR`")
	return cmd
}

func newFrontendPack() *cobra.Command {
	var flags frontendFlags
	cmd := &cobra.Command{
		Use:   "pack STATE...",
		Short: "Make the last layer of converted ones",
		RunE: func(cmd *cobra.Command, states []string) error {
			return flags.run(cmd, func(ctx context.Context, o converter.Options) (*converter.Report, error) {
				return frontend.Pack(ctx, states, flags.dirs.Out, flags.meta, o)
			})
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&flags.meta, "meta", "", "for what is said about the image, `DIR`")
	return cmd
}

// run does a step and tells about it.
func (flags *frontendFlags) run(cmd *cobra.Command, step func(context.Context, converter.Options) (*converter.Report, error)) error {
	return cli.Convert(cmd, func(ctx context.Context, p converter.Progress) (*converter.Report, error) {
		return step(ctx, flags.options(p))
	})
}
