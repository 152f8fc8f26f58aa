package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/pelletier/go-toml/v2"
)

// registriesConf is what is used of containers-registries.conf(5), where
// skopeo and podman find mirrors too.
type registriesConf struct {
	Registries []registryConf `toml:"registry"`
}

// registryConf is about the images whose names begin with Prefix.
type registryConf struct {
	Prefix             string       `toml:"prefix"`
	Location           string       `toml:"location"`
	Insecure           bool         `toml:"insecure"`
	Blocked            bool         `toml:"blocked"`
	MirrorByDigestOnly bool         `toml:"mirror-by-digest-only"`
	Mirrors            []mirrorConf `toml:"mirror"`
}

type mirrorConf struct {
	Location       string `toml:"location"`
	Insecure       bool   `toml:"insecure"`
	PullFromMirror string `toml:"pull-from-mirror"`
}

// loadRegistries reads the file that the user or the system has, and then the
// drop-in files, of which a later one's table takes the place of an earlier
// one's with the same prefix.
func loadRegistries() (*registriesConf, error) {
	files, err := registriesFiles()
	if err != nil {
		return nil, err
	}
	all := &registriesConf{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var one registriesConf
		if err := toml.Unmarshal(text, &one); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := all.add(one.Registries); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return all, nil
}

// registriesFiles are the files that count, in their order.
func registriesFiles() ([]string, error) {
	if name := os.Getenv("CONTAINERS_REGISTRIES_CONF"); name != "" {
		return []string{name}, nil
	}
	const system = "/etc/containers/registries.conf"
	places := []string{system}
	if dir, err := os.UserConfigDir(); err == nil {
		places = append(places, filepath.Join(dir, "containers", "registries.conf"))
	}
	var files []string
	for _, name := range slices.Backward(places) {
		if _, err := os.Stat(name); err == nil {
			files = append(files, name)
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	for _, name := range places {
		more, err := filepath.Glob(name + ".d/*.conf")
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	return files, nil
}

func (c *registriesConf) add(list []registryConf) error {
	for _, r := range list {
		if r.Prefix == "" {
			r.Prefix = r.Location
		}
		if r.Prefix == "" {
			return errors.New("a registry has neither prefix nor location")
		}
		for _, m := range r.Mirrors {
			if !slices.Contains([]string{"", "all", "digest-only", "tag-only"}, m.PullFromMirror) {
				return fmt.Errorf("registry %s: mirror %s: pull-from-mirror is %q", r.Prefix, m.Location, m.PullFromMirror)
			}
		}
		c.Registries = slices.DeleteFunc(c.Registries, func(o registryConf) bool { return o.Prefix == r.Prefix })
		c.Registries = append(c.Registries, r)
	}
	return nil
}

// find is the table with the longest prefix of an image's full name; nil:
// there is none.
func (c *registriesConf) find(full string) (found *registryConf) {
	for i := range c.Registries {
		r := &c.Registries[i]
		if r.matches(full) && (found == nil || len(r.Prefix) > len(found.Prefix)) {
			found = r
		}
	}
	return found
}

func (r *registryConf) matches(full string) bool {
	if domain, ok := strings.CutPrefix(r.Prefix, "*"); ok {
		host, _, _ := strings.Cut(full, "/")
		host, _, _ = strings.Cut(host, ":")
		return strings.HasSuffix(host, domain)
	}
	rest, ok := strings.CutPrefix(full, r.Prefix)
	return ok && (rest == "" || strings.ContainsRune("/:@", rune(rest[0])))
}

// use tells whether a mirror is asked for a name that is a digest, or a tag.
func (m *mirrorConf) use(r *registryConf, byDigest bool) bool {
	switch {
	case r.MirrorByDigestOnly || m.PullFromMirror == "digest-only":
		return byDigest
	case m.PullFromMirror == "tag-only":
		return !byDigest
	}
	return true
}

// endpoint is where an image can be had.
type endpoint struct {
	ref      name.Reference
	insecure bool // without TLS, or with a certificate that nobody vouches for
}

// fullName is a reference as containers-registries.conf(5) has it.
func fullName(ref name.Reference) string {
	if rest, ok := strings.CutPrefix(ref.Name(), name.DefaultRegistry+"/"); ok {
		return "docker.io/" + rest
	}
	return ref.Name()
}

// readFrom lists where an image may be read from: its mirrors, and last where
// it is.
func readFrom(path string) ([]endpoint, error) {
	r, ref, err := configured(path)
	if err != nil || r == nil {
		return []endpoint{{ref: ref}}, err
	}
	full := fullName(ref)
	if r.Blocked {
		return nil, fmt.Errorf("registries.conf blocks %s", full)
	}
	_, byDigest := ref.(name.Digest)
	var list []endpoint
	for _, m := range r.Mirrors {
		if m.use(r, byDigest) {
			if list, err = r.append(list, full, m.Location, m.Insecure); err != nil {
				return nil, err
			}
		}
	}
	return r.append(list, full, r.Location, r.Insecure)
}

// writeTo is where an image is written: never to a mirror, and under its own
// name.
func writeTo(path string) (endpoint, error) {
	r, ref, err := configured(path)
	if err != nil || r == nil || !r.Insecure {
		return endpoint{ref: ref}, err
	}
	list, err := r.append(nil, ref.Name(), "", true)
	if err != nil {
		return endpoint{}, err
	}
	return list[0], nil
}

// configured finds what registries.conf says about an image; nil: nothing.
func configured(path string) (*registryConf, name.Reference, error) {
	ref, err := name.ParseReference(path)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrReference, err)
	}
	conf, err := loadRegistries()
	if err != nil {
		return nil, nil, err
	}
	return conf.find(fullName(ref)), ref, nil
}

// append adds the endpoint that has location in the place of the prefix; an
// empty location, or one for a pattern, is the name as it is.
func (r *registryConf) append(list []endpoint, full, location string, insecure bool) ([]endpoint, error) {
	switch {
	case location == "":
	case strings.HasPrefix(r.Prefix, "*"):
		_, rest, _ := strings.Cut(full, "/")
		full = location + "/" + rest
	default:
		full = location + strings.TrimPrefix(full, r.Prefix)
	}
	var options []name.Option
	if insecure {
		options = append(options, name.Insecure)
	}
	ref, err := name.ParseReference(full, options...)
	if err != nil {
		return nil, fmt.Errorf("registries.conf: registry %s: %w", r.Prefix, err)
	}
	return append(list, endpoint{ref, insecure}), nil
}
