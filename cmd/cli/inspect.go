package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/megabin/megabin/layers/image"
	"github.com/megabin/megabin/layers/manifest"
	"github.com/spf13/cobra"
)

func newInspect() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Show what is recompiled in a converted image",
		Long: `Inspect lists each recompiled ELF of a converted image with its hash, kind, size
and coverage, what was left out and why, and how much space it saved that
identical functions of different files are kept once. Of an image in a registry
it reads the manifest and the first hundred kilobytes or so of the last layer.`,
		Example: `  megabin inspect oci:debian-wasm
  megabin inspect --json oci:debian-wasm | jq '.entries[].paths[0]'`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := readManifest(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(m)
			}
			return printManifest(cmd.OutOrStdout(), m)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the manifest as JSON")
	return cmd
}

// readManifest reads of an image what inspect tells.
func readManifest(ctx context.Context, text string) (*manifest.Manifest, error) {
	img, closeImage, err := open(ctx, text)
	if err != nil {
		return nil, err
	}
	defer closeImage()
	m, err := image.ReadManifest(img)
	if errors.Is(err, image.ErrNotConverted) {
		// A docker archive has no annotation to say that it is.
		m, err = readProgram(img)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", text, err)
	}
	return m, nil
}

func readProgram(img v1.Image) (*manifest.Manifest, error) {
	store, err := openStore()
	if err != nil {
		return nil, err
	}
	p, err := image.OpenProgram(store, img)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.Manifest, nil
}

func printManifest(w io.Writer, in *manifest.Manifest) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "BLAKE3\tKIND\tSIZE\tFUNCTIONS\tCODE COVERED\tUNTRANSLATED\tPATHS")
	for _, e := range in.Entries {
		c := e.Coverage
		fmt.Fprintf(t, "%.12s\t%s\t%s\t%d\t%s\t%d\t%s\n", e.BLAKE3, e.Kind, size(e.Size), c.Functions,
			percent(c.CoveredBytes, c.ExecutableBytes), c.Untranslated, strings.Join(e.Paths, " "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range in.Refused {
		fmt.Fprintf(w, "can't run: %s: %s\n", strings.Join(r.Paths, " "), r.Reason)
	}
	s := in.Sharing
	_, err := fmt.Fprintf(w, "\n%d ELF files; megabinary %s, translator %s\n%d functions, %d distinct: sharing saved %s of %s\n",
		len(in.Entries), size(in.Megabinary.Size), in.Translator,
		s.Functions, s.Bodies, size(s.FunctionBytes-s.BodyBytes), size(s.FunctionBytes))
	return err
}
