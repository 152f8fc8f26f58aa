package cli

import (
	"fmt"
	"io"

	"github.com/megabin/megabin/layers/blob"
	"github.com/spf13/cobra"
)

func newHash() *cobra.Command {
	return &cobra.Command{
		Use:   "hash FILE...",
		Short: "Print the BLAKE3 hash by which files are known",
		Long: `Hash prints the BLAKE3-256 hash of each file, as b3sum does; "-" is standard
input. By this hash run finds the recompiled code of a file, and by nothing else.`,
		Example: `  megabin hash /bin/ls
  megabin hash - < /bin/ls`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			for _, f := range files {
				id, err := hashFile(cmd.InOrStdin(), f)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", id, f)
			}
			return nil
		},
	}
}

func hashFile(stdin io.Reader, name string) (blob.ID, error) {
	if name == "-" {
		id, _, err := blob.HashReader(stdin)
		return id, err
	}
	return blob.HashFile(name)
}
