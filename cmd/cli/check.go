package cli

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/megabin/megabin/layers/image"
	"github.com/spf13/cobra"
)

func newCheck() *cobra.Command {
	var source string
	var trust trustFlags
	cmd := &cobra.Command{
		Use:   "check [--source SOURCE] IMAGE",
		Short: "Verify a converted image, hash by hash",
		Long: `Check reads all of a converted image and verifies every hash in it: of blobs,
layers, the manifest, the megabinary, its units and parts. With --source it
also verifies, file by file, that the image was made of that source and differs
from it in nothing but code bytes of recompiled files.`,
		Example: `  megabin check oci:debian-wasm
  megabin check --source oci:debian oci:debian-wasm`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := check(cmd.Context(), trust, source, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "good: %d layers (%s), %d files, %d carriers, %d units\n",
				r.Layers, size(r.Bytes), r.Files, r.Carriers, r.Units)
			return err
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "the image it was converted from, `SOURCE`")
	trust.add(cmd.Flags())
	return cmd
}

func check(ctx context.Context, trust trustFlags, source, converted string) (*image.CheckResult, error) {
	img, closeImage, err := open(ctx, converted)
	if err != nil {
		return nil, err
	}
	defer closeImage()
	if err := trust.verify(ctx, img); err != nil {
		return nil, err
	}
	if source == "" {
		return image.Check(ctx, nil, img)
	}
	ref, err := image.Parse(source)
	if err != nil {
		return nil, err
	}
	src, closeSource, err := ref.OpenSource(ctx, "")
	if err != nil {
		return nil, err
	}
	defer closeSource()
	return image.Check(ctx, src, img)
}

// open opens the image that a reference names.
func open(ctx context.Context, text string) (v1.Image, func() error, error) {
	ref, err := image.Parse(text)
	if err != nil {
		return nil, nil, err
	}
	return ref.Open(ctx)
}
