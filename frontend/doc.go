// Package frontend is the place of the BuildKit frontend: a gateway request
// becomes the LLB that runs the converter, so that `docker build` can give
// converted images. It will be the only user of BuildKit's packages. Nothing is here yet.
package frontend
