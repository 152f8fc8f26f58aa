package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/megabin/megabin/layers/image"
)

func newSign() *cobra.Command {
	var flags signFlags
	cmd := &cobra.Command{
		Use:   "sign --sign-key KEY IMAGE [TARGET]",
		Short: "Sign a converted image that is there already",
		Long: `Sign signs as convert --sign-key does, but an image that was converted before,
such as one that a build with # syntax=HOST/megabin pushed: only who has the
finished image knows the digests that a signature is about. It reads no layers
of IMAGE, and gives its name to the signed one unless there is a TARGET.

Of an index each converted image is signed, at its descriptor: images and their
attestations keep their digests, and only the index has a new one.`,
		Example: `  docker buildx build --push -t localhost:5000/app . && megabin sign --sign-key key.pem localhost:5000/app
  megabin run --verify-key public.pem localhost:5000/app`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: completeImages(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := Interruptible(cmd.Context())
			defer stop()
			return flags.signImage(ctx, args[0], args[len(args)-1], cmd.OutOrStdout())
		},
	}
	flags.add(cmd.Flags())
	cobra.CheckErr(cmd.MarkFlagRequired("sign-key"))
	return cmd
}

func (flags *signFlags) signImage(ctx context.Context, source, target string, out io.Writer) error {
	from, err := image.Parse(source)
	if err != nil {
		return err
	}
	to, err := image.Parse(target)
	if err != nil {
		return err
	}
	if to.Transport == image.DockerArchive || to.Transport == image.Dir {
		return fmt.Errorf("%s: a %s can't hold a signature", target, to.Transport)
	}
	key, err := os.ReadFile(flags.key)
	if err != nil {
		return err
	}
	digest, err := flags.signTo(ctx, from, to, key)
	if err != nil {
		return fmt.Errorf("signing %s: %w", source, err)
	}
	_, err = fmt.Fprintln(out, digest)
	return err
}

// signTo signs an index, or if it is none, an image.
func (flags *signFlags) signTo(ctx context.Context, from, to image.Reference, key []byte) (digest v1.Hash, err error) {
	idx, closeIndex, err := from.OpenIndex(ctx)
	if errors.Is(err, image.ErrNoIndex) {
		return flags.signOne(ctx, from, to, key)
	}
	if err != nil {
		return digest, err
	}
	defer closeIndex()
	if idx, err = image.SignIndex(ctx, idx, key, flags.version); err != nil {
		return digest, err
	}
	if err := to.WriteIndex(ctx, idx, nil); err != nil {
		return digest, err
	}
	return idx.Digest()
}

func (flags *signFlags) signOne(ctx context.Context, from, to image.Reference, key []byte) (digest v1.Hash, err error) {
	img, closeImage, err := from.OpenSource(ctx, "") // the image itself, and nothing that refers to it
	if err != nil {
		return digest, err
	}
	defer closeImage()
	if img, err = image.Sign(ctx, img, key, flags.version); err != nil {
		return digest, err
	}
	if err := to.Write(ctx, img, nil); err != nil {
		return digest, err
	}
	return img.Digest()
}
