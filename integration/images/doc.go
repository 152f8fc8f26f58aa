// Package images holds the tests of what megabin does with images together
// with the tools that people use for them: buildkitd, buildctl, buildx, a
// registry, crane, skopeo. The tests start these themselves, each run with
// empty state, on loopback and unix sockets only. `make integration` builds
// what Debian does not have (.ci/tools); without root, runc or these the tests
// are skipped and say so.
package images
