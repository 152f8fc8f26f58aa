package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/megabin/megabin/converter"
	"github.com/megabin/megabin/converter/translate"
	"github.com/megabin/megabin/layers/unit"
	"github.com/spf13/cobra"
)

func newLift() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "lift [-o UNIT.wasm] ELF",
		Short: "Recompile one ELF to a unit",
		Long: `Lift recompiles one executable or library to a unit: a WebAssembly module with
its functions, which pack puts into a megabinary. Without -o it only tells how
much could be translated.`,
		Example: `  megabin lift /bin/ls
  megabin lift -o ls.wasm /bin/ls`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := Interruptible(cmd.Context())
			defer stop()
			u, err := lift(ctx, args[0], output)
			if err != nil {
				return err
			}
			return printUnit(cmd.ErrOrStderr(), u)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write the unit to `FILE`")
	return cmd
}

func lift(ctx context.Context, name, output string) (*unit.Unit, error) {
	spendMemory(1)
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	u, err := translate.ELF(ctx, name, data)
	if err != nil {
		return nil, err
	}
	u.Translator = converter.TranslatorVersion()
	if output == "" {
		return u, nil
	}
	return u, writeFile(output, func(f *os.File) error {
		_, err := f.Write(u.Encode())
		return err
	})
}

func printUnit(w io.Writer, u *unit.Unit) error {
	c := u.Coverage
	fmt.Fprintf(w, "%s %s: %d functions in %d parts, %d instructions, %d not translated\n",
		u.Kind, u.Source, len(u.Funcs), u.NumParts(), c.Instructions, c.Untranslated)
	for _, r := range c.Reasons {
		if _, err := fmt.Fprintf(w, "%8d %s\n", r.Count, r.Name); err != nil {
			return err
		}
	}
	return nil
}
