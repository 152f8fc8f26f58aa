package frontend

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strconv"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/frontend/gateway/client"
	gateway "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/result"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/megabin/megabin/converter"
)

// Places in the containers that the operations run in.
const (
	dirLower  = "/lower"
	dirUpper  = "/upper"
	dirOut    = "/out"
	dirState  = "/state"
	dirCache  = "/cache"
	dirTmp    = "/tmp"
	dirLayers = "/layers"
)

// cacheID names the cache mount that keeps units between builds: what a
// Dockerfile calls id=megabin-units.
const cacheID = "/megabin-units"

// converted is what an image was made into.
type converted struct {
	ref         client.Reference
	report      client.Reference // has reportFile
	annotations map[string]string
}

// layer is a layer of the result and the operations that convert it.
type layer struct {
	step
	original llb.State // the layer alone
	changed  bool      // converted is another layer
	out      llb.State // the layer's upper state, with carriers
	state    llb.State // what packing has to know
}

// convert makes the operations that convert an image, and has them run.
func (b *builder) convert(ctx context.Context, ref client.Reference) (*converted, error) {
	layers, result, err := b.layers(ctx, ref)
	if err != nil {
		return nil, err
	}
	pack, meta := b.pack(layers)
	c := &converted{}
	if err := b.readMeta(ctx, meta, layers, c); err != nil {
		return nil, err
	}
	c.ref, err = b.solve(ctx, stack(layers, result, pack))
	return c, err
}

// readMeta reads what packing, for which all layers have to be converted,
// tells about them and the image.
func (b *builder) readMeta(ctx context.Context, meta llb.State, layers []*layer, c *converted) (err error) {
	if c.report, err = b.solve(ctx, meta); err != nil {
		return err
	}
	file, err := c.report.ReadFile(ctx, client.ReadRequest{Filename: PackedFile})
	if err != nil {
		return err
	}
	var p converter.Packed
	if err := json.Unmarshal(file, &p); err != nil {
		return fmt.Errorf("%s: %w", PackedFile, err)
	}
	if len(p.Changed) != len(layers) {
		return fmt.Errorf("%s: %d layers of %d", PackedFile, len(p.Changed), len(layers))
	}
	for i, l := range layers {
		l.changed = p.Changed[i]
	}
	c.annotations = p.Annotations
	return nil
}

// layers finds the layers of a result; state is all of it.
func (b *builder) layers(ctx context.Context, ref client.Reference) (list []*layer, state llb.State, err error) {
	if ref == nil {
		return nil, llb.Scratch(), nil
	}
	if state, err = ref.ToState(); err != nil {
		return nil, state, err
	}
	def, err := state.Marshal(ctx, llb.Platform(platform))
	if err != nil {
		return nil, state, err
	}
	g, err := newGraph(b.client, def.ToPB())
	if err != nil {
		return nil, state, err
	}
	steps, err := g.steps(ctx, g.result)
	if err != nil {
		return nil, state, err
	}
	for _, s := range steps {
		l, err := b.layer(g, s)
		if err != nil {
			return nil, state, err
		}
		list = append(list, l)
	}
	return list, state, nil
}

// layer makes the operation that converts a layer. It sees the trees below
// and with the layer, and changes a copy of the one below, so that the
// difference is a layer too, with all that was removed.
func (b *builder) layer(g *graph, s step) (*layer, error) {
	lower, err := g.state(s.lower)
	if err != nil {
		return nil, err
	}
	upper, err := g.state(s.upper)
	if err != nil {
		return nil, err
	}
	args := []string{"layer", "--upper", dirUpper, "--out", dirOut, "--state", dirState, "--cache", dirCache}
	mounts := []llb.RunOption{
		llb.AddMount(dirUpper, upper, llb.Readonly, llb.ContentCache(llb.MountContentCacheOff)),
		llb.AddMount(dirCache, llb.Scratch(), llb.AsPersistentCacheDir(cacheID, llb.CacheMountShared)),
	}
	if s.lower != (output{}) {
		args = append(args, "--lower", dirLower)
		mounts = append(mounts, llb.AddMount(dirLower, lower, llb.Readonly, llb.ContentCache(llb.MountContentCacheOff)))
	}
	run := b.run("[megabin] recompile "+s.name, args, mounts...)
	l := &layer{step: s, state: run.AddMount(dirState, llb.Scratch())}
	l.out = alone(s, lower, run.AddMount(dirOut, lower))
	l.original = alone(s, lower, upper)
	return l, nil
}

// alone is the layer between two states.
func alone(s step, lower, upper llb.State) llb.State {
	if s.lower == (output{}) {
		return upper
	}
	return llb.Diff(lower, upper, llb.WithCustomName("[megabin] take "+s.name))
}

// pack makes the operation that makes the last layer; meta is what is not
// part of the image.
func (b *builder) pack(layers []*layer) (out, meta llb.State) {
	args := []string{"pack", "--out", dirOut, "--meta", dirState}
	var mounts []llb.RunOption
	for i, l := range layers {
		dir := path.Join(dirLayers, strconv.Itoa(i))
		args = append(args, dir)
		mounts = append(mounts, llb.AddMount(dir, l.state, llb.Readonly, llb.ContentCache(llb.MountContentCacheOn)))
	}
	run := b.run("[megabin] pack the megabinary", args, mounts...)
	return run.AddMount(dirOut, llb.Scratch()), run.AddMount(dirState, llb.Scratch())
}

// run is an operation that runs megabin: without network, upon a root that
// can't be written to.
func (b *builder) run(name string, args []string, mounts ...llb.RunOption) llb.ExecState {
	args = append([]string{"/megabin", "frontend"}, args...)
	if b.keepNative {
		args = append(args, "--keep-native")
	}
	if b.strict {
		args = append(args, "--strict")
	}
	options := []llb.RunOption{
		llb.Args(args), llb.ReadonlyRootFS(), llb.WithCustomName(name),
		llb.AddMount(dirTmp, llb.Scratch(), llb.ForceNoOutput),
	}
	return b.self.With(llb.Network(llb.NetModeNone)).Run(append(options, mounts...)...)
}

// stack puts the layers of the image together. The lowest layers that stay as
// they are, each upon the one before, are one state already.
func stack(layers []*layer, result, last llb.State) llb.State {
	n := 0
	for n < len(layers) && !layers[n].changed && (n == 0 || layers[n].lower == layers[n-1].upper) {
		n++
	}
	var states []llb.State
	if n == len(layers) && n > 0 {
		states = append(states, result)
	} else {
		for _, l := range layers {
			if l.changed {
				states = append(states, l.out)
			} else {
				states = append(states, l.original)
			}
		}
	}
	return llb.Merge(append(states, last), llb.WithCustomName("[megabin] put the layers together"))
}

// put makes the result say what the image is now.
func (c *converted) put(res *client.Result, p exptypes.Platform, withReport bool) error {
	key := exptypes.ExporterImageConfigKey
	var of *ocispecs.Platform // whose annotations; nil: the only image's
	if len(res.Refs) > 0 {
		key += "/" + p.ID
		of = &p.Platform
		res.AddRef(p.ID, c.ref)
	} else {
		res.SetRef(c.ref)
	}
	config, err := addHistory(res.Metadata[key])
	if err != nil {
		return fmt.Errorf("image config: %w", err)
	}
	res.AddMeta(key, config)
	for name, value := range c.annotations {
		res.AddMeta(exptypes.AnnotationManifestKey(of, name), []byte(value))
	}
	if withReport {
		res.AddAttestation(p.ID, client.Attestation{
			Kind: gateway.AttestationKind_InToto, Ref: c.report, Path: ReportFile,
			InToto: result.InTotoAttestation{PredicateType: ReportType},
		})
	}
	return nil
}

// addHistory adds the last layer to a config's history; all else stays as it
// is.
func addHistory(raw []byte) ([]byte, error) {
	config := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, err
	}
	var history []json.RawMessage
	if h := config["history"]; h != nil {
		if err := json.Unmarshal(h, &history); err != nil {
			return nil, err
		}
	}
	entry := map[string]any{"created_by": "megabin convert", "comment": "megabin frontend"}
	if created := config["created"]; created != nil {
		entry["created"] = created
	}
	b, err := json.Marshal(entry)
	if err != nil {
		return nil, err
	}
	if config["history"], err = json.Marshal(append(history, b)); err != nil {
		return nil, err
	}
	return json.Marshal(config)
}
