package frontend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/builder"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/frontend/gateway/grpcclient"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
	_ "github.com/moby/buildkit/util/grpcutil/encoding/proto" // the gateway's codec
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Serve answers the request of the BuildKit that started this process.
func Serve(ctx context.Context) error {
	return grpcclient.RunFromEnvironment(ctx, build)
}

// platform is what can be converted, and what the converter runs on.
var platform = ocispecs.Platform{OS: "linux", Architecture: "amd64"}

// build is the frontend: the Dockerfile's result, converted.
func build(ctx context.Context, c client.Client) (*client.Result, error) {
	opts := c.BuildOpts().Opts
	settings, err := readSettings(opts)
	if err != nil {
		return nil, err
	}
	// Without it the Dockerfile frontend would follow the syntax line to us.
	if _, ok := opts["cmdline"]; !ok {
		opts["cmdline"] = opts["source"]
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // what was asked for ahead and not needed
	early := &ahead{Client: c}
	early.start(ctx)
	kept := &configs{Client: early}
	res, err := dockerfile.Build(ctx, kept)
	if err != nil {
		return nil, err
	}
	if res.Ref == nil && len(res.Refs) == 0 {
		return res, nil // a subrequest, which has an answer but no image
	}
	b, err := newBuilder(c, kept, settings)
	if err != nil {
		return nil, err
	}
	return res, b.convertAll(ctx, res)
}

// builder makes the operations that convert.
type builder struct {
	settings
	client  *configs
	imports []client.CacheOptionsEntry
	self    llb.State // the frontend's own image
}

// newBuilder finds what all conversions of a build need.
func newBuilder(c client.Client, kept *configs, s settings) (*builder, error) {
	opts := c.BuildOpts()
	for _, need := range []apicaps.CapID{pb.CapMergeOp, pb.CapDiffOp} {
		if err := opts.LLBCaps.Supports(need); err != nil {
			return nil, fmt.Errorf("this BuildKit can't convert layer by layer: %w", err)
		}
	}
	ui, err := dockerui.NewClient(c)
	if err != nil {
		return nil, err
	}
	self, err := ownImage(c)
	return &builder{s, kept, ui.CacheImports, self}, err
}

// ownImage is the image that this process runs from. BuildKit has put the
// operation that loaded it, by its digest, into the container.
func ownImage(c client.Client) (llb.State, error) {
	contained, ok := c.(interface{ CurrentFrontend() (*llb.State, error) })
	if !ok {
		return llb.State{}, errors.New("the frontend does not run in a container of BuildKit's")
	}
	st, err := contained.CurrentFrontend()
	if err != nil {
		return llb.State{}, fmt.Errorf("finding the frontend's image: %w", err)
	}
	if st == nil {
		return llb.State{}, errors.New("BuildKit did not tell the frontend's image; version 0.11 and newer do")
	}
	return *st, nil
}

// convertAll converts each image of a result in its place.
func (b *builder) convertAll(ctx context.Context, res *client.Result) error {
	var list exptypes.Platforms
	if err := json.Unmarshal(res.Metadata[exptypes.ExporterPlatformsKey], &list); err != nil {
		return fmt.Errorf("the result's platforms: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	var mu sync.Mutex // over res
	for _, p := range list.Platforms {
		if !b.canConvert(p.Platform) {
			if b.strict {
				return fmt.Errorf("the image for %s can't be converted: only linux/amd64 can, and the policy is strict", p.ID)
			}
			b.client.Warn(ctx, "", fmt.Sprintf("the image for %s is left as it is: only linux/amd64 is converted", p.ID), client.WarnOpts{Level: 1})
			continue
		}
		ref, _ := res.FindRef(p.ID)
		group.Go(func() error {
			out, err := b.convert(ctx, ref)
			if err != nil {
				return fmt.Errorf("converting the image for %s: %w", p.ID, err)
			}
			mu.Lock()
			defer mu.Unlock()
			return out.put(res, p, b.report)
		})
	}
	return group.Wait()
}

func (b *builder) canConvert(p ocispecs.Platform) bool {
	return p.OS == platform.OS && p.Architecture == platform.Architecture
}

// solve has the operations of a state run, once its result is looked at.
func (b *builder) solve(ctx context.Context, st llb.State) (client.Reference, error) {
	def, err := st.Marshal(ctx, llb.Platform(platform))
	if err != nil {
		return nil, err
	}
	res, err := b.client.Solve(ctx, client.SolveRequest{Definition: def.ToPB(), CacheImports: b.imports})
	if err != nil {
		return nil, err
	}
	return res.SingleRef()
}
