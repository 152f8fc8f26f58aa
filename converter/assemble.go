package converter

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/image"
	"github.com/megabin/megabin/layers/manifest"
	"github.com/megabin/megabin/layers/pack"
)

// pack writes the megabinary and its manifest.
func (c *conversion) pack(ctx context.Context) (err error) {
	var sources []*pack.Source
	for _, e := range c.elves {
		if e.meta != nil {
			sources = append(sources, e.unit)
		}
	}
	if c.megabinary, err = image.TempFile(); err != nil {
		return err
	}
	res, err := pack.Write(ctx, c.megabinary, sources, c.Jobs)
	if err != nil {
		return err
	}
	c.startReport(res)
	c.manifest, err = c.newManifest(res).Encode()
	return err
}

// newManifest lists the ELFs; both they and the result's units ascend by
// hash.
func (c *conversion) newManifest(res *pack.Result) *manifest.Manifest {
	m := &manifest.Manifest{
		FormatVersion: manifest.Version,
		Translator:    c.Translator,
		Scripts:       c.scripts,
		Megabinary:    manifest.Megabinary{BLAKE3: res.Digest, Directory: res.Directory, Size: res.Size},
	}
	if c.treeFile != nil {
		m.Tree = new(blob.Hash(c.treeFile))
	}
	for _, e := range c.elves {
		if e.meta == nil {
			m.Refused = append(m.Refused, manifest.Refused{BLAKE3: e.id, Paths: e.paths, Reason: e.reason})
			continue
		}
		entry := manifest.NewEntry(e.meta, res.Units[len(m.Entries)].Digest)
		entry.Paths = e.paths
		if !c.KeepNative {
			entry.Carrier = &e.carrier
		}
		m.Entries = append(m.Entries, entry)
	}
	return m
}

// image puts the result together. The config stays as it is but for what
// says which layers there are.
func (c *conversion) image() (v1.Image, error) {
	config, err := c.newConfig()
	if err != nil {
		return nil, err
	}
	annotations, err := c.annotations()
	if err != nil {
		return nil, err
	}
	h, n, err := v1.SHA256(bytes.NewReader(config))
	if err != nil {
		return nil, err
	}
	m := v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        v1.Descriptor{MediaType: types.OCIConfigJSON, Size: n, Digest: h},
		Annotations:   annotations,
	}
	blobs := map[v1.Hash]newLayer{}
	for _, l := range c.out {
		blobs[l.desc.Digest] = l
		l.desc.MediaType = ociType(l.desc.MediaType)
		m.Layers = append(m.Layers, l.desc)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return image.New(b, config, func(d v1.Descriptor) (io.ReadCloser, error) {
		l := blobs[d.Digest]
		if l.file == nil {
			return l.source.Compressed()
		}
		return io.NopCloser(io.NewSectionReader(l.file, 0, l.desc.Size)), nil
	})
}

var ociTypes = map[types.MediaType]types.MediaType{
	types.DockerLayer:             types.OCILayer,
	types.DockerUncompressedLayer: types.OCIUncompressedLayer,
	types.DockerForeignLayer:      types.OCIRestrictedLayer,
}

// ociType maps docker's media types to those of the manifest we write.
func ociType(t types.MediaType) types.MediaType {
	if o, ok := ociTypes[t]; ok {
		return o
	}
	return t
}

// annotations are the source's and ours, docs/formats.md.
func (c *conversion) annotations() (map[string]string, error) {
	m, err := c.source.Manifest()
	if err != nil {
		return nil, err
	}
	digest, err := c.source.Digest()
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	maps.Copy(all, m.Annotations)
	maps.Copy(all, map[string]string{
		image.AnnotationSource:     digest.String(),
		image.AnnotationFormat:     strconv.Itoa(abi.Version),
		image.AnnotationTranslator: c.Translator,
		image.AnnotationManifest:   blob.Hash(c.manifest).String(),
	})
	return all, nil
}

// newConfig changes rootfs.diff_ids and history of the source's config.
func (c *conversion) newConfig() ([]byte, error) {
	raw, err := c.source.RawConfigFile()
	if err != nil {
		return nil, err
	}
	config := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("%w: config: %w", image.ErrInvalid, err)
	}
	rootfs := v1.RootFS{Type: "layers"}
	for _, l := range c.out {
		rootfs.DiffIDs = append(rootfs.DiffIDs, l.diffID)
	}
	if config["rootfs"], err = json.Marshal(rootfs); err != nil {
		return nil, err
	}
	if config["history"], err = c.history(config); err != nil {
		return nil, err
	}
	return json.Marshal(config)
}

// history adds an entry for the last layer, and where the source has fewer
// entries than layers, empty ones before it: each layer is to have one.
func (c *conversion) history(config map[string]json.RawMessage) (json.RawMessage, error) {
	var list []json.RawMessage
	if h := config["history"]; h != nil {
		if err := json.Unmarshal(h, &list); err != nil {
			return nil, fmt.Errorf("%w: config: history: %w", image.ErrInvalid, err)
		}
	}
	layers := 0
	for _, raw := range list {
		var h struct {
			Empty bool `json:"empty_layer"`
		}
		if err := json.Unmarshal(raw, &h); err != nil {
			return nil, fmt.Errorf("%w: config: history: %w", image.ErrInvalid, err)
		}
		if !h.Empty {
			layers++
		}
	}
	for ; layers < len(c.layers); layers++ {
		list = append(list, json.RawMessage(`{}`))
	}
	ours := map[string]any{"created_by": "megabin convert", "comment": "recompiled by " + c.Translator}
	if created := config["created"]; created != nil {
		ours["created"] = created
	}
	b, err := json.Marshal(ours)
	if err != nil {
		return nil, err
	}
	return json.Marshal(append(list, b))
}
