package image

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// options are those of all calls about an endpoint: with the passwords that
// docker has.
func (e endpoint) options(ctx context.Context) []remote.Option {
	return []remote.Option{
		remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithTransport(e.transport()),
	}
}

func (e endpoint) transport() http.RoundTripper {
	t, ok := remote.DefaultTransport.(*http.Transport)
	if !e.insecure || !ok {
		return remote.DefaultTransport
	}
	t = t.Clone()
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // as registries.conf asks for
	return t
}

// get asks for a manifest where it may be, one place after another.
func get(ctx context.Context, path string) (*remote.Descriptor, endpoint, error) {
	list, err := readFrom(path)
	if err != nil {
		return nil, endpoint{}, err
	}
	var errs []error
	for i, e := range list {
		desc, err := remote.Get(e.ref, append(e.options(ctx), remote.WithPlatform(Platform))...)
		if err == nil {
			return desc, e, nil
		}
		if i < len(list)-1 {
			err = fmt.Errorf("mirror %s: %w", e.ref.Context().Name(), err)
		}
		if errs = append(errs, err); ctx.Err() != nil {
			break
		}
	}
	return nil, endpoint{}, errors.Join(errs...)
}

func openRegistry(ctx context.Context, path string, want selection) (v1.Image, error) {
	desc, e, err := get(ctx, path)
	if err != nil {
		return nil, err
	}
	var img v1.Image
	if desc.MediaType.IsIndex() {
		img, err = selectFrom(desc, want)
	} else {
		img, err = desc.Image()
	}
	if err == nil && want.converted {
		img, err = orReferrer(ctx, e, img)
	}
	if err != nil {
		return nil, err
	}
	return &remoteImage{img, ctx, e}, nil
}

func registryIndex(ctx context.Context, path string) (v1.ImageIndex, error) {
	desc, _, err := get(ctx, path)
	if err != nil {
		return nil, err
	}
	if !desc.MediaType.IsIndex() {
		return nil, ErrNoIndex
	}
	return desc.ImageIndex()
}

// selectFrom finds the image that is meant in a registry's index.
func selectFrom(desc *remote.Descriptor, want selection) (v1.Image, error) {
	idx, err := desc.ImageIndex()
	if err != nil {
		return nil, err
	}
	raw, err := idx.RawManifest()
	if err != nil {
		return nil, err
	}
	open := func(d v1.Descriptor) (io.ReadCloser, error) {
		return nil, fmt.Errorf("%w: index %v in an index", ErrInvalid, d.Digest)
	}
	d, err := selectImage(open, raw, "", want, 0)
	if err != nil {
		return nil, err
	}
	img, err := idx.Image(d.Digest)
	if err != nil {
		return nil, err
	}
	return listed{img, d.Annotations}, nil
}

func writeRegistry(ctx context.Context, path string, img v1.Image) error {
	e, err := writeTo(path)
	if err != nil {
		return err
	}
	return remote.Write(e.ref, img, e.options(ctx)...)
}

func writeRegistryIndex(ctx context.Context, path string, idx v1.ImageIndex) error {
	e, err := writeTo(path)
	if err != nil {
		return err
	}
	return remote.WriteIndex(e.ref, idx, e.options(ctx)...)
}

// remoteImage is an image in a registry. The beginning of a blob can be read
// without the rest.
type remoteImage struct {
	v1.Image
	ctx context.Context
	endpoint
}

// beginning opens a blob for reading from its start, unchecked: no more is
// asked of the registry than is read, if it knows ranges (RFC 9110, 14).
func (r *remoteImage) beginning(d v1.Descriptor) (io.ReadCloser, error) {
	repo := r.ref.Context()
	auth, err := authn.Resolve(r.ctx, authn.DefaultKeychain, repo)
	if err != nil {
		return nil, err
	}
	t, err := transport.NewWithContext(r.ctx, repo.Registry, auth, r.transport(), []string{repo.Scope(transport.PullScope)})
	if err != nil {
		return nil, err
	}
	return &ranges{ctx: r.ctx, client: &http.Client{Transport: t}, url: blobURL(repo, d), size: d.Size}, nil
}

func blobURL(repo name.Repository, d v1.Descriptor) string {
	return fmt.Sprintf("%s://%s/v2/%s/blobs/%v", repo.Scheme(), repo.RegistryStr(), repo.RepositoryStr(), d.Digest)
}

// rangeSize is how much is asked for at a time, in bytes.
const rangeSize = 128 << 10

// ranges reads a blob by one request after another.
type ranges struct {
	ctx    context.Context
	client *http.Client
	url    string
	size   int64
	off    int64         // what was read, bytes
	from   int64         // off where the request began
	body   io.ReadCloser // of the request that is being read
}

func (r *ranges) Read(p []byte) (n int, err error) {
	for n == 0 && len(p) > 0 {
		if r.off >= r.size {
			return 0, io.EOF
		}
		if r.body == nil {
			r.from = r.off
			if r.body, err = r.ask(); err != nil {
				return 0, err
			}
		}
		n, err = r.body.Read(p)
		r.off += int64(n)
		if err == io.EOF {
			if err = r.Close(); r.off == r.from {
				err = io.ErrUnexpectedEOF // or we would ask for it for ever
			}
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// ask requests the next range. A registry that knows none gives all, which
// will do at the start.
func (r *ranges) ask() (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", r.off, min(r.off+rangeSize, r.size)-1))
	res, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusPartialContent || res.StatusCode == http.StatusOK && r.off == 0 {
		return res.Body, nil
	}
	res.Body.Close()
	return nil, fmt.Errorf("GET %s: %s", r.url, res.Status)
}

// Close ends the request that is being read.
func (r *ranges) Close() error {
	if r.body == nil {
		return nil
	}
	err := r.body.Close()
	r.body = nil
	return err
}
