// Package frontend is megabin as a BuildKit frontend: a Dockerfile with
// `# syntax=HOST/megabin` gives a converted image, with docker build, buildx
// or buildctl. It builds what the Dockerfile says with BuildKit's own
// Dockerfile frontend (build.go), finds the layers of the result in the graph
// of operations that made it (chain.go), and adds operations that convert each
// of them on its own and pack the megabinary (convert.go), so that BuildKit
// caches, shows and parallelises them as all others. What these operations
// run is megabin itself, out of the frontend's image; package converter does
// the work. It is the only user of BuildKit's packages.
package frontend
