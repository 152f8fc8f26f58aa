package frontend

import (
	"context"
	"testing"

	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// registry is a BuildKit that knows one index, whose images have as many
// layers as their platforms' names have letters.
type registry struct {
	client.Client
	asked int
}

const indexDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func configOf(p *ocispecs.Platform) []byte {
	return []byte(map[string]string{"amd64": `{"rootfs":{"diff_ids":["a","b"]}}`, "arm64": `{"rootfs":{"diff_ids":["a"]}}`}[p.Architecture])
}

func (r *registry) ResolveImageConfig(_ context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, indexDigest, configOf(opt.ImageOpt.Platform), nil
}

func (r *registry) ResolveSourceMetadata(_ context.Context, op *pb.SourceOp, opt sourceresolver.Opt) (*sourceresolver.MetaResponse, error) {
	r.asked++
	return &sourceresolver.MetaResponse{Op: op, Image: &sourceresolver.ResolveImageResponse{Digest: indexDigest, Config: configOf(opt.ImageOpt.Platform)}}, nil
}

// TestConfigs has a config that the Dockerfile frontend asked for known, for
// the digest and platform that it asked for and no other.
func TestConfigs(t *testing.T) {
	r := &registry{}
	c := &configs{Client: r}
	amd64, arm64 := ocispecs.Platform{OS: "linux", Architecture: "amd64"}, ocispecs.Platform{OS: "linux", Architecture: "arm64"}
	if _, _, _, err := c.ResolveImageConfig(t.Context(), "base", sourceresolver.Opt{ImageOpt: &sourceresolver.ResolveImageOpt{Platform: &amd64}}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name          string
		platform      ocispecs.Platform
		layers, asked int
	}{
		{"docker-image://base@" + indexDigest, amd64, 2, 0},
		{"docker-image://base@" + indexDigest, arm64, 1, 1},
		{"docker-image://base@" + indexDigest[:len(indexDigest)-1] + "0", amd64, 2, 2},
		{"docker-image://base", amd64, 2, 3},
	} {
		config, err := c.of(t.Context(), &pb.Op{Platform: pb.PlatformFromSpec(tt.platform)}, &pb.SourceOp{Identifier: tt.name})
		if err != nil || len(config.RootFS.DiffIDs) != tt.layers || r.asked != tt.asked {
			t.Errorf("%s for %s: %d layers, asked %d times, %v; want %d, %d", tt.name, tt.platform.Architecture, len(config.RootFS.DiffIDs), r.asked, err, tt.layers, tt.asked)
		}
	}
}
