package image

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Transport is where an image is kept.
type Transport string

// The transports, as containers-transports(5) names them; Dir is ours: a
// directory that is the root file system.
const (
	OCI           Transport = "oci"
	OCIArchive    Transport = "oci-archive"
	DockerArchive Transport = "docker-archive"
	Dir           Transport = "dir"
	Registry      Transport = "docker"
)

// Reference names an image.
type Reference struct {
	Transport Transport
	Path      string // a file or directory; of a registry, the reference
	Tag       string // in a layout or archive; may be empty
}

// ErrReference is wrapped by every error about the text of a reference.
var ErrReference = errors.New("invalid image reference")

// Parse reads a reference:
//
//	oci:DIR[:TAG]  oci-archive:FILE[:TAG]  docker-archive:FILE[:TAG]
//	dir:ROOTFS     docker://HOST/REPO[:TAG]
//
// Anything else is a registry's.
func Parse(text string) (Reference, error) {
	scheme, rest, _ := strings.Cut(text, ":")
	r := Reference{Transport: Transport(scheme), Path: rest}
	switch r.Transport {
	case OCI, OCIArchive, DockerArchive:
		r.Path, r.Tag = splitTag(r.Transport, rest)
	case Dir:
	default:
		return parseRegistry(text)
	}
	if r.Path == "" {
		return r, fmt.Errorf("%w %q: no path", ErrReference, text)
	}
	return r, nil
}

func parseRegistry(text string) (Reference, error) {
	path := strings.TrimPrefix(text, "docker://")
	if _, err := name.ParseReference(path); err != nil {
		return Reference{}, fmt.Errorf("%w %q: %w", ErrReference, text, err)
	}
	return Reference{Transport: Registry, Path: path}, nil
}

// splitTag cuts PATH:TAG. The tag of an oci: reference has no slash; a docker
// archive's may be HOST/REPO:TAG, so that its path ends at the first colon.
func splitTag(t Transport, s string) (path, tag string) {
	if t == DockerArchive {
		path, tag, _ = strings.Cut(s, ":")
		return path, tag
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.Contains(s[i:], "/") {
		return s, ""
	}
	return s[:i], s[i+1:]
}

// String gives the text that Parse reads.
func (r Reference) String() string {
	switch {
	case r.Transport == Registry:
		return "docker://" + r.Path
	case r.Tag != "":
		return fmt.Sprintf("%s:%s:%s", r.Transport, r.Path, r.Tag)
	}
	return fmt.Sprintf("%s:%s", r.Transport, r.Path)
}
