package frontend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// configs is a client that keeps the configs of the images that the Dockerfile
// frontend resolves. Each request for one takes BuildKit several writes to its
// database, also where it has the image.
type configs struct {
	client.Client
	mu   sync.Mutex
	kept map[configKey][]byte
}

// configKey names an image of an index, or an image alone, by the digest that
// its name is pinned to.
type configKey struct {
	digest   digest.Digest
	platform string
}

func keyOf(sum digest.Digest, p ocispecs.Platform) configKey {
	return configKey{sum, platforms.FormatAll(platforms.Normalize(p))}
}

// ResolveImageConfig is what the Dockerfile frontend calls.
func (c *configs) ResolveImageConfig(ctx context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	ref, sum, config, err := c.Client.ResolveImageConfig(ctx, ref, opt)
	if p := platformOf(opt); err == nil && p != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.kept == nil {
			c.kept = map[configKey][]byte{}
		}
		c.kept[keyOf(sum, *p)] = config
	}
	return ref, sum, config, err
}

func platformOf(opt sourceresolver.Opt) *ocispecs.Platform {
	switch {
	case opt.ImageOpt != nil:
		return opt.ImageOpt.Platform
	case opt.OCILayoutOpt != nil:
		return opt.OCILayoutOpt.Platform
	}
	return nil
}

// of is the config of a source that is an image.
func (c *configs) of(ctx context.Context, op *pb.Op, src *pb.SourceOp) (config ocispecs.Image, err error) {
	p := platform
	if op.Platform != nil {
		p = op.Platform.Spec()
	}
	raw := c.keptOf(src, p)
	if raw == nil {
		if raw, err = c.resolve(ctx, src, p); err != nil {
			return config, err
		}
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return config, fmt.Errorf("its config: %w", err)
	}
	return config, nil
}

// keptOf is the config of a source that was resolved before; nil: none.
func (c *configs) keptOf(src *pb.SourceOp, p ocispecs.Platform) []byte {
	_, sum, _ := strings.Cut(src.Identifier, "@")
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept[keyOf(digest.Digest(sum), p)]
}

// resolve asks BuildKit for the config of a source.
func (c *configs) resolve(ctx context.Context, src *pb.SourceOp, p ocispecs.Platform) ([]byte, error) {
	opt := sourceresolver.Opt{LogName: "[megabin] count the layers of " + src.Identifier}
	if store := src.Attrs[pb.AttrOCILayoutStoreID]; store != "" {
		opt.OCILayoutOpt = &sourceresolver.ResolveOCILayoutOpt{
			Platform: &p, Store: sourceresolver.ResolveImageConfigOptStore{StoreID: store, SessionID: src.Attrs[pb.AttrOCILayoutSessionID]},
		}
	} else {
		opt.ImageOpt = &sourceresolver.ResolveImageOpt{Platform: &p, ResolveMode: src.Attrs[pb.AttrImageResolveMode]}
	}
	res, err := c.ResolveSourceMetadata(ctx, src, opt)
	if err != nil {
		return nil, err
	}
	if res.Image == nil {
		return nil, errors.New("BuildKit gave no config")
	}
	return res.Image.Config, nil
}
