// Command mkimage makes a Debian minbase image (see package debian) and prints
// its reference, for `make demo` and for trying things by hand.
//
//	megabin convert "$(go run ./integration/cmd/mkimage)" oci:out/demo
//	go run ./integration/cmd/mkimage busybox-static xz-utils
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/megabin/megabin/integration/debian"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	spec := debian.Minbase
	spec.Include = os.Args[1:]
	if err := build(ctx, spec); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func build(ctx context.Context, spec debian.Spec) error {
	dir, err := debian.CacheDir()
	if err != nil {
		return err
	}
	img, err := debian.Build(ctx, spec, dir, os.Stderr)
	if err != nil {
		return err
	}
	fmt.Println(img.Ref())
	return nil
}
