package image_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/megabin/megabin/layers/image"
)

// keyPair has openssl make a key.
func keyPair(t *testing.T) (private, public string) {
	t.Helper()
	dir := t.TempDir()
	private, public = filepath.Join(dir, "private"), filepath.Join(dir, "public")
	for _, args := range [][]string{
		{"genpkey", "-algorithm", "ed25519", "-out", private}, {"pkey", "-in", private, "-pubout", "-out", public},
	} {
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl: %v: %s", err, out)
		}
	}
	return private, public
}

func contentOf(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// remade is an image with a changed manifest.
func remade(t *testing.T, img v1.Image, change func(*v1.Manifest)) v1.Image {
	t.Helper()
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	m = m.DeepCopy()
	change(m)
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	out, err := image.New(raw, config, func(d v1.Descriptor) (io.ReadCloser, error) { return nil, errors.New("no blobs") })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// marked is an image that says that it is converted.
func marked(t *testing.T) v1.Image {
	t.Helper()
	return remade(t, sample(t), func(m *v1.Manifest) {
		m.Annotations = map[string]string{image.AnnotationManifest: strings.Repeat("0", 64)}
	})
}

func TestSignature(t *testing.T) {
	private, public := keyPair(t)
	_, other := keyPair(t)
	img, err := image.Sign(t.Context(), marked(t), contentOf(t, private), 7)
	if err != nil {
		t.Fatal(err)
	}
	trust := image.Trust{Key: contentOf(t, public), MinVersion: 7}
	if err := trust.Verify(t.Context(), img); err != nil {
		t.Fatal(err)
	}
	swap := func(m *v1.Manifest) { m.Layers[0], m.Layers[1] = m.Layers[1], m.Layers[0] }
	for name, tt := range map[string]struct {
		trust  image.Trust
		change func(*v1.Manifest)
	}{
		"no signature":    {trust, func(m *v1.Manifest) { delete(m.Annotations, image.AnnotationSignature) }},
		"no base64":       {trust, func(m *v1.Manifest) { m.Annotations[image.AnnotationSignature] = "?" }},
		"no envelope":     {trust, func(m *v1.Manifest) { m.Annotations[image.AnnotationSignature] = "e30=" }},
		"another key":     {image.Trust{Key: contentOf(t, other)}, nil},
		"no key":          {image.Trust{Key: []byte("x")}, nil},
		"a private key":   {image.Trust{Key: contentOf(t, private)}, nil},
		"older":           {image.Trust{Key: trust.Key, MinVersion: 8}, nil},
		"another source":  {image.Trust{Key: trust.Key, Source: "sha256:1"}, nil},
		"other layers":    {trust, swap},
		"another config":  {trust, func(m *v1.Manifest) { m.Config.Digest.Hex = strings.Repeat("0", 64) }},
		"other code":      {trust, func(m *v1.Manifest) { m.Annotations[image.AnnotationManifest] = "0" }},
		"a changed claim": {trust, func(m *v1.Manifest) { changeVersion(t, m) }},
	} {
		changed := img
		if tt.change != nil {
			changed = remade(t, img, tt.change)
		}
		if err := tt.trust.Verify(t.Context(), changed); !errors.Is(err, image.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// changeVersion changes what the signature says but not the signature.
func changeVersion(t *testing.T, m *v1.Manifest) {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(m.Annotations[image.AnnotationSignature])
	if err != nil {
		t.Fatal(err)
	}
	var e dsse.Envelope
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(e.Payload)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(payload), `"version":7`, `"version":9`, 1)
	if changed == string(payload) {
		t.Fatalf("no version in %s", payload)
	}
	e.Payload = base64.StdEncoding.EncodeToString([]byte(changed))
	if b, err = json.Marshal(e); err != nil {
		t.Fatal(err)
	}
	m.Annotations[image.AnnotationSignature] = base64.StdEncoding.EncodeToString(b)
}

// TestSignatureByOpenSSL checks an envelope with openssl: the signature is of
// DSSE's pre-authentication encoding.
func TestSignatureByOpenSSL(t *testing.T) {
	private, public := keyPair(t)
	img, err := image.Sign(t.Context(), marked(t), contentOf(t, private), 1)
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	b, err := base64.StdEncoding.DecodeString(m.Annotations[image.AnnotationSignature])
	if err != nil {
		t.Fatal(err)
	}
	var e dsse.Envelope
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	payload, _ := base64.StdEncoding.DecodeString(e.Payload)
	sig, _ := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
	dir := t.TempDir()
	signed, sigFile := filepath.Join(dir, "signed"), filepath.Join(dir, "sig")
	for name, content := range map[string][]byte{signed: dsse.PAE(e.PayloadType, payload), sigFile: sig} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", signed, "-sigfile", sigFile).CombinedOutput()
	if err != nil {
		t.Errorf("openssl: %v: %s", err, out)
	}
}
