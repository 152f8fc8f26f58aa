package cli

import (
	"context"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/pflag"

	"github.com/megabin/megabin/layers/image"
)

// signFlags say how convert signs.
type signFlags struct {
	key     string
	version uint64
}

func (flags *signFlags) add(f *pflag.FlagSet) {
	f.StringVar(&flags.key, "sign-key", "", "sign the image with the private Ed25519 key in `FILE` (PEM)")
	f.Uint64Var(&flags.version, "sign-version", 0, "`N`, by which run --min-version refuses older images")
}

// sign signs an image if asked to.
func (flags *signFlags) sign(ctx context.Context, img v1.Image) (v1.Image, error) {
	if flags.key == "" {
		return img, nil
	}
	key, err := os.ReadFile(flags.key)
	if err != nil {
		return nil, err
	}
	return image.Sign(ctx, img, key, flags.version)
}

// trustFlags say what signature an image has to have.
type trustFlags struct {
	key        string
	minVersion uint64
	source     string
}

func (flags *trustFlags) add(f *pflag.FlagSet) {
	f.StringVar(&flags.key, "verify-key", "", "refuse an image without a signature by the public Ed25519 key in `FILE` (PEM)")
	f.Uint64Var(&flags.minVersion, "min-version", 0, "with --verify-key, refuse one signed with a version below `N`")
	f.StringVar(&flags.source, "verify-source", "", "with --verify-key, refuse one that was not made of the image `DIGEST`")
}

// verify checks an image if asked to.
func (flags *trustFlags) verify(ctx context.Context, img v1.Image) error {
	if flags.key == "" {
		return nil
	}
	key, err := os.ReadFile(flags.key)
	if err != nil {
		return err
	}
	return image.Trust{Key: key, MinVersion: flags.minVersion, Source: flags.source}.Verify(ctx, img)
}
