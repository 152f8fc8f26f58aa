package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/megabin/megabin/layers/pack"
	"github.com/spf13/cobra"
)

func newPack() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "pack -o OUT.wasm UNIT.wasm...",
		Short: "Make a megabinary of units",
		Long: `Pack puts units, each one recompiled ELF as lift makes it, into one megabinary:
one WebAssembly module in which identical functions are there once, with the
index that leads from a file's hash and an offset in it to code. Convert does
the same for all of an image.`,
		Example: `  megabin lift -o ls.wasm /bin/ls
  megabin lift -o cat.wasm /bin/cat
  megabin pack -o both.wasm ls.wasm cat.wasm`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, units []string) error {
			sources := make([]*pack.Source, len(units))
			for i, u := range units {
				var err error
				if sources[i], err = pack.File(u); err != nil {
					return err
				}
			}
			var result *pack.Result
			err := writeFile(output, func(f *os.File) (err error) {
				result, err = pack.Write(cmd.Context(), f, sources, runtime.GOMAXPROCS(0))
				return err
			})
			if err != nil {
				return err
			}
			s := result.Sharing
			fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", result.Digest, output)
			fmt.Fprintf(cmd.ErrOrStderr(), "%d units, %d functions, %d of them distinct, %s of code (%s before sharing), %s in all\n",
				len(result.Units), s.Functions, s.Bodies, size(s.BodyBytes), size(s.FunctionBytes), size(result.Size))
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "`FILE` to write")
	cobra.CheckErr(cmd.MarkFlagRequired("output"))
	return cmd
}

// writeFile makes a file that is there either whole or not at all.
func writeFile(name string, write func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".megabin-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once the file has its name
	defer f.Close()
	if err := write(f); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
