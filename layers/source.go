// Package layers is the folder of the formats between converter and runtime.
// It has nothing but the text of those whose code decides what a unit looks
// like.
package layers

import "embed"

// UnitSource is the source text of what a translator uses of this folder.
//
//go:embed abi/*.go blob/*.go unit/*.go wasmenc/*.go
var UnitSource embed.FS
