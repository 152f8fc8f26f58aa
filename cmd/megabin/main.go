// Command megabin recompiles container images to WebAssembly and runs them.
package main

import "github.com/megabin/megabin/cmd/cli"

func main() { cli.Main() }
