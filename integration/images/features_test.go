package images

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// featuresDockerfile has what Dockerfiles can do besides layersDockerfile.
const featuresDockerfile = `ARG BASE
FROM ${BASE} AS base
ARG TEXT=default
ENV FROM_ARG=$TEXT
FROM base AS one
RUN --mount=type=secret,id=s --mount=type=ssh --mount=type=cache,target=/c --mount=type=tmpfs,target=/t --mount=type=bind,source=text,target=/b <<EOF
set -e
sed s/secret/public/ /run/secrets/s > /from-secret
test -S "$SSH_AUTH_SOCK" && echo agent > /from-agent
echo x > /c/x
cp /b /from-context
echo $FROM_ARG > /from-arg
EOF
FROM image AS named
FROM one AS two
COPY --from=named /text /from-image
COPY --from=dir --chown=3:4 --chmod=640 /text /from-dir
COPY --from=named --link /text /linked/
ADD archive.tar.gz /added/
COPY <<EOF /document
with $FROM_ARG
EOF
SHELL ["/bin/sh", "-ec"]
RUN rm /from-context; ln -s from-dir /symlink
FROM two AS unused
RUN false
`

// TestDockerfile builds all that with BuildKit's frontend and with ours: the
// images have the same files.
func TestDockerfile(t *testing.T) {
	base := theBusybox(t)
	dir := buildContext(t, featuresDockerfile, map[string]string{"text": "testdata/tool.c"})
	must(t, "tar", "-C", dir, "-czf", filepath.Join(dir, "archive.tar.gz"), "text")
	other := buildContext(t, "FROM scratch\nCOPY text /text\n", map[string]string{"text": "testdata/tool.c"})
	build{dir: other, way: plain, output: pushed("features:image")}.mustRun(t)
	key, _ := keys(t)
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, "a secret\n")
	b := build{dir: dir, opts: []string{
		"build-arg:BASE=" + base, "build-arg:TEXT=argument", "target=two",
		"context:image=docker-image://" + env.image("features:image"), "context:dir=local:dir",
	}, args: []string{"--local", "dir=" + other, "--secret", "id=s,src=" + secret, "--ssh", "default=" + key}}
	for way, name := range map[string]string{plain: "features:plain", syntax: "features:converted", gateway: "features:gateway"} {
		b.way, b.output = way, pushed(name)
		b.mustRun(t)
	}
	sameFiles(t, "features:plain", "features:converted")
	if a, b := must(t, tool("crane"), "digest", env.image("features:converted")), must(t, tool("crane"), "digest", env.image("features:gateway")); a != b {
		t.Errorf("the digest is %s by the syntax line and %s by gateway.v0", a, b)
	}
	out := must(t, megabin(), "run", env.image("features:converted"), "sh", "-c", "cat /from-secret /from-agent /from-arg /document; cmp /from-image /added/text && stat -c %u:%g:%a /from-dir")
	if want := "a public\nagent\nargument\nwith argument\n3:4:640\n"; out != want {
		t.Errorf("the files have %q, want %q", out, want)
	}
	b.way, b.opts = syntax, append(b.opts, "target=unused")
	if p, ok := b.run(t); ok || !strings.Contains(p.rest, "exit code: 1") {
		t.Errorf("a stage that fails works: %v: %s", ok, p.rest)
	}
}

// scanner is an SBOM generator: it says what it sees.
const scanner = `#!/bin/sh -e
cd $BUILDKIT_SCAN_SOURCE
cat > $BUILDKIT_SCAN_DESTINATION/tool.spdx.json <<EOF
{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://spdx.dev/Document", "predicate": {"sums": "$(sha256sum tool)"}}
EOF
`

// TestSBOM checks that an SBOM is of the program as it was built.
func TestSBOM(t *testing.T) {
	dir := buildContext(t, "FROM "+theBusybox(t)+"\nCOPY scan /scan\nENTRYPOINT [\"/scan\"]\n", nil)
	write(t, filepath.Join(dir, "scan"), scanner)
	build{dir: dir, way: plain, output: pushed("scanner:1")}.mustRun(t)
	build{dir: simple(t), way: syntax, output: pushed("sbom:1"), opts: []string{"attest:sbom=generator=" + env.image("scanner:1")}}.mustRun(t)
	sum := sha256.Sum256([]byte(read(t, theProgram(t))))
	if have := attestation(t, "sbom:1", "https://spdx.dev/Document"); !strings.Contains(have, fmt.Sprintf("%x", sum)) {
		t.Errorf("the SBOM is %s, the program's sum %x", have, sum)
	}
	must(t, megabin(), "check", "docker://"+env.image("sbom:1"))
}

// attestation is the one of a type that an image has.
func attestation(t *testing.T, name, predicateType string) string {
	t.Helper()
	repo, _, _ := strings.Cut(name, ":")
	for _, m := range indexOf(t, name).Manifests {
		if m.Annotations["vnd.docker.reference.type"] != "attestation-manifest" {
			continue
		}
		var attestations struct {
			Layers []struct {
				Digest      string
				Annotations map[string]string
			}
		}
		decode(t, must(t, tool("crane"), "manifest", env.image(repo)+"@"+m.Digest), &attestations)
		for _, l := range attestations.Layers {
			if strings.HasPrefix(l.Annotations["in-toto.io/predicate-type"], predicateType) {
				return must(t, tool("crane"), "blob", env.image(repo)+"@"+l.Digest)
			}
		}
	}
	t.Fatalf("%s has no attestation of the type %s", name, predicateType)
	return ""
}

// TestConfined reads in the provenance how the converter was run: without
// network, upon a root that can't be written to, out of an image by digest.
func TestConfined(t *testing.T) {
	build{dir: simple(t), way: syntax, output: pushed("confined:1"), opts: []string{"attest:provenance=mode=max"}}.mustRun(t)
	var statement any
	decode(t, attestation(t, "confined:1", "https://slsa.dev/provenance/"), &statement)
	runs, sources := 0, map[string]bool{}
	walkObjects(statement, func(o map[string]any) {
		if source, ok := o["source"].(map[string]any); ok {
			if name, _ := source["identifier"].(string); strings.HasPrefix(name, "docker-image://") {
				sources[name] = true
			}
		}
		exec, ok := o["exec"].(map[string]any)
		if !ok {
			return
		}
		runs++
		if text, _ := json.Marshal(exec); !strings.Contains(string(text), "/megabin") {
			t.Errorf("an operation runs something else: %s", text)
		}
		if network := fmt.Sprint(exec["network"]); network != "NONE" && network != "2" {
			t.Errorf("the converter's network is %s", network)
		}
		for _, m := range exec["mounts"].([]any) {
			if m := m.(map[string]any); m["dest"] == "/" && m["readonly"] != true {
				t.Errorf("the root is mounted %v", m)
			}
		}
	})
	if runs != 2 { // a layer and packing
		t.Errorf("%d operations run programs", runs)
	}
	if len(sources) != 1 {
		t.Errorf("images are %v", sources)
	}
	for name := range sources {
		if !strings.Contains(name, "/megabin") || !strings.Contains(name, "@sha256:") {
			t.Errorf("the converter's image is %s", name)
		}
	}
}

// walkObjects calls f with each object in a value of JSON.
func walkObjects(v any, f func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
		for _, e := range v {
			walkObjects(e, f)
		}
	case []any:
		for _, e := range v {
			walkObjects(e, f)
		}
	}
}

// TestExports has BuildKit write the image in all its ways.
func TestExports(t *testing.T) {
	dir := simple(t)
	for _, tt := range []struct{ name, options, layers string }{
		{"zstd", "compression=zstd,force-compression=true", "tar+zstd"},
		{"uncompressed", "compression=uncompressed,force-compression=true", "layer.v1.tar"},
		{"estargz", "compression=estargz,force-compression=true,oci-mediatypes=true", "tar+gzip"},
		{"docker", "compression=gzip,force-compression=true,oci-mediatypes=false", "docker.image.rootfs"},
	} {
		name := env.image("exports:" + tt.name)
		build{dir: dir, way: syntax, output: pushed("exports:"+tt.name) + "," + tt.options}.mustRun(t)
		for _, l := range manifestOf(t, "exports:"+tt.name).Layers {
			if !strings.Contains(string(l.MediaType), tt.layers) {
				t.Errorf("%s: a layer is %s", tt.name, l.MediaType)
			}
		}
		// crane's validate takes every layer for a gzip one; skopeo checks digests too.
		must(t, "skopeo", "copy", "-q", "--src-tls-verify=false", "docker://"+name, "dir:"+t.TempDir())
		must(t, megabin(), "check", name)
		says(t, name, "hello\n")
	}
	for kind, from := range map[string]string{"oci": "oci-archive:", "docker": "docker-archive:"} {
		file := filepath.Join(t.TempDir(), kind+".tar")
		build{dir: dir, way: syntax, output: "type=" + kind + ",dest=" + file}.mustRun(t)
		says(t, from+file, "hello\n")
	}
	local := filepath.Join(t.TempDir(), "local")
	build{dir: dir, way: syntax, output: "type=local,dest=" + local}.mustRun(t)
	tar := filepath.Join(t.TempDir(), "tree.tar")
	build{dir: dir, way: syntax, output: "type=tar,dest=" + tar}.mustRun(t)
	unpacked := t.TempDir()
	must(t, "tar", "-C", unpacked, "-xf", tar)
	if o := capture(t, exec.Command("diff", "-r", local, unpacked)); o.status != 0 || o.stdout != "" {
		t.Errorf("the directory and the tar file differ: %+v", o)
	}
}
