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
	below, original llb.State // without the layer, and with it
	changed         bool      // converted is another layer
	converted       llb.State // original, with carriers in this layer
	state           llb.State // what packing has to know
}

// convert makes the operations that convert an image, and has them run.
func (b *builder) convert(ctx context.Context, ref client.Reference) (*converted, error) {
	layers, err := b.layers(ctx, ref)
	if err != nil {
		return nil, err
	}
	pack, meta := b.pack(layers)
	c := &converted{}
	if err := b.readMeta(ctx, meta, layers, c); err != nil {
		return nil, err
	}
	c.ref, err = b.solve(ctx, stack(layers, pack))
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

// layers finds the layers of a result.
func (b *builder) layers(ctx context.Context, ref client.Reference) (list []*layer, err error) {
	if ref == nil {
		return nil, nil
	}
	state, err := ref.ToState()
	if err != nil {
		return nil, err
	}
	def, err := state.Marshal(ctx, llb.Platform(platform))
	if err != nil {
		return nil, err
	}
	g, err := newGraph(b.client, def.ToPB())
	if err != nil {
		return nil, err
	}
	steps, err := g.steps(ctx, g.result)
	if err != nil {
		return nil, err
	}
	var outputs []output
	for _, s := range steps {
		outputs = append(outputs, s.lower, s.upper)
	}
	states, err := g.states(outputs)
	if err != nil {
		return nil, err
	}
	for _, s := range steps {
		list = append(list, b.layer(s, states[s.lower], states[s.upper]))
	}
	return list, nil
}

// layer makes the operation that converts a layer. It sees the trees below
// and with the layer, and changes a copy of the one below, so that the
// difference is a layer too, with all that was removed.
func (b *builder) layer(s step, lower, upper llb.State) *layer {
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
	l := &layer{step: s, below: lower, original: upper}
	l.state = run.AddMount(dirState, llb.Scratch())
	l.converted = run.AddMount(dirOut, lower)
	return l
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

// stack puts the layers of the image together, of as few states as it can.
func stack(layers []*layer, last llb.State) llb.State {
	var states []llb.State
	for len(layers) > 0 {
		n := together(layers)
		states = append(states, between(layers[:n]))
		layers = layers[n:]
	}
	return llb.Merge(append(states, last), llb.WithCustomName("[megabin] put the layers together"))
}

// together is how many layers from the first on are those between two states:
// each is upon the one before as that was.
func together(layers []*layer) int {
	n := 1
	for n < len(layers) && !layers[n-1].changed && layers[n].lower == layers[n-1].upper {
		n++
	}
	return n
}

// between is layers that belong together without what is below them. What it is
// made of is exported with the cache; BuildKit would look up the same blobs
// twice, and waits some milliseconds each time that they are not there.
func between(layers []*layer) llb.State {
	first, last := layers[0], layers[len(layers)-1]
	upper := last.original
	if last.changed {
		upper = last.converted
	}
	name := "[megabin] take " + first.name
	if last != first {
		name += " to " + last.name
	}
	return llb.Diff(first.below, upper, llb.WithoutExportCache(), llb.WithCustomName(name))
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
