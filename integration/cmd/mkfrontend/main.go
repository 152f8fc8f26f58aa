// Command mkfrontend puts a static binary into an image that BuildKit can
// use as a frontend, for `make frontend-image`; it needs no container engine.
//
//	go run ./integration/cmd/mkfrontend bin/megabin-frontend oci:out/frontend
//	go run ./integration/cmd/mkfrontend bin/megabin-frontend docker://localhost:5000/megabin
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/megabin/megabin/integration/frontendimage"
	"github.com/megabin/megabin/layers/image"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: mkfrontend BINARY TARGET")
		os.Exit(2)
	}
	if err := write(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "mkfrontend:", err)
		os.Exit(1)
	}
}

func write(ctx context.Context, binary, target string) error {
	ref, err := image.Parse(target)
	if err != nil {
		return err
	}
	img, err := frontendimage.New(binary)
	if err != nil {
		return err
	}
	if err := ref.Write(ctx, img, nil); err != nil {
		return err
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	fmt.Println(digest)
	return nil
}
