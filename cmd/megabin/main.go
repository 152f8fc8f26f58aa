// Command megabin recompiles container images to WebAssembly and runs them.
package main

import (
	"github.com/megabin/megabin/cmd/cli"
	_ "github.com/megabin/megabin/cmd/hugeheap" // for quick starts
)

func main() { cli.Main() }
