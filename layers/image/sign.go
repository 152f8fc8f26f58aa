package image

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// AnnotationSignature, of a manifest or of its descriptor in an index, has a DSSE envelope, base64 of its JSON, whose payload
// is a Statement.
const AnnotationSignature = "dev.megabin.signature"

// PayloadType is the type of a Statement in an envelope.
const PayloadType = "application/vnd.megabin.statement.v1+json"

// ErrSignature is wrapped by every error about a signature.
var ErrSignature = errors.New("the signature does not hold")

// Statement is what a signature says: all of the image but for its
// annotations, and which of several images of one name it is.
type Statement struct {
	Config   string   `json:"config"`   // digest
	Layers   []string `json:"layers"`   // digests
	Manifest string   `json:"manifest"` // BLAKE3 of manifest.json
	Source   string   `json:"source"`   // digest of the image that was converted
	Version  uint64   `json:"version"`  // higher in a newer image
}

func statementOf(m *v1.Manifest, version uint64) Statement {
	s := Statement{
		Config: m.Config.Digest.String(), Manifest: m.Annotations[AnnotationManifest],
		Source: m.Annotations[AnnotationSource], Version: version,
	}
	for _, l := range m.Layers {
		s.Layers = append(s.Layers, l.Digest.String())
	}
	return s
}

func (s Statement) equal(o Statement) bool {
	return s.Config == o.Config && slices.Equal(s.Layers, o.Layers) && s.Manifest == o.Manifest && s.Source == o.Source
}

// Sign returns a converted image with a signature by an Ed25519 key: PEM of
// PKCS #8, as openssl genpkey writes it.
func Sign(ctx context.Context, img v1.Image, key []byte, version uint64) (v1.Image, error) {
	m, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	m = m.DeepCopy()
	signature, err := sign(ctx, m, key, version)
	if err != nil {
		return nil, err
	}
	m.Annotations[AnnotationSignature] = signature
	return withManifest(img, m)
}

// SignIndex returns an index whose converted images are signed: the signatures
// stand at their descriptors, so that the images and what attests something
// about them keep their digests.
func SignIndex(ctx context.Context, idx v1.ImageIndex, key []byte, version uint64) (v1.ImageIndex, error) {
	top, err := idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	var members []Member
	signed := false
	for _, d := range top.Manifests {
		member, err := memberOf(idx, d)
		if err != nil {
			return nil, fmt.Errorf("%v of the index: %w", d.Digest, err)
		}
		if member.Image != nil {
			ok, err := member.sign(ctx, key, version)
			if err != nil {
				return nil, fmt.Errorf("%v of the index: %w", d.Digest, err)
			}
			signed = signed || ok
		}
		members = append(members, member)
	}
	if !signed {
		return nil, ErrNotConverted
	}
	return NewIndex(members, top.Annotations)
}

func memberOf(idx v1.ImageIndex, d v1.Descriptor) (m Member, err error) {
	m.Descriptor = d
	if d.MediaType.IsIndex() {
		m.Index, err = idx.ImageIndex(d.Digest)
	} else {
		m.Image, err = idx.Image(d.Digest)
	}
	return m, err
}

// sign signs a member if it is a converted image.
func (x *Member) sign(ctx context.Context, key []byte, version uint64) (bool, error) {
	m, err := x.Image.Manifest()
	if err != nil || m.Annotations[AnnotationManifest] == "" {
		return false, err
	}
	signature, err := sign(ctx, m, key, version)
	if err != nil {
		return false, err
	}
	all := map[string]string{}
	maps.Copy(all, x.Annotations)
	all[AnnotationSignature] = signature
	x.Annotations = all
	return true, nil
}

// sign makes the signature of an image with this manifest.
func sign(ctx context.Context, m *v1.Manifest, key []byte, version uint64) (string, error) {
	if m.Annotations[AnnotationManifest] == "" {
		return "", ErrNotConverted
	}
	k, err := parsePrivate(key)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(statementOf(m, version))
	if err != nil {
		return "", err
	}
	signer, err := dsse.NewEnvelopeSigner(k)
	if err != nil {
		return "", err
	}
	envelope, err := signer.SignPayload(ctx, PayloadType, payload)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(envelope)
	return base64.StdEncoding.EncodeToString(b), err
}

// listed is an image that was found in an index, and what stands there about
// it.
type listed struct {
	v1.Image
	annotations map[string]string
}

// signatureOf is the signature of an image, or of the index that it was found
// in.
func signatureOf(img v1.Image, m *v1.Manifest) string {
	if r, ok := img.(*remoteImage); ok {
		img = r.Image
	}
	if text := m.Annotations[AnnotationSignature]; text != "" {
		return text
	}
	if l, ok := img.(listed); ok {
		return l.annotations[AnnotationSignature]
	}
	return ""
}

// withManifest is an image with another manifest of the same blobs.
func withManifest(img v1.Image, m *v1.Manifest) (v1.Image, error) {
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return nil, err
	}
	return New(raw, config, func(d v1.Descriptor) (io.ReadCloser, error) {
		l, err := img.LayerByDigest(d.Digest)
		if err != nil {
			return nil, err
		}
		return l.Compressed()
	})
}

// Trust is what an image's signature has to be.
type Trust struct {
	Key        []byte // PEM of a public Ed25519 key
	MinVersion uint64 // older ones are refused
	Source     string // digest that it must be made of; empty: any
}

// Verify checks an image's signature. It reads the manifest only: all else
// that runs is checked by the digests in it.
func (t Trust) Verify(ctx context.Context, img v1.Image) error {
	m, err := img.Manifest()
	if err != nil {
		return err
	}
	text := signatureOf(img, m)
	if text == "" {
		return fmt.Errorf("%w: there is none", ErrSignature)
	}
	s, err := t.open(ctx, text)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	switch {
	case !s.equal(statementOf(m, s.Version)):
		return fmt.Errorf("%w: it is of another image", ErrSignature)
	case s.Version < t.MinVersion:
		return fmt.Errorf("%w: the image has version %d, at least %d is wanted", ErrSignature, s.Version, t.MinVersion)
	case t.Source != "" && s.Source != t.Source:
		return fmt.Errorf("%w: the image was made of %s, not of %s", ErrSignature, s.Source, t.Source)
	}
	return nil
}

// open reads an envelope and checks its signature.
func (t Trust) open(ctx context.Context, text string) (s Statement, err error) {
	key, err := parsePublic(t.Key)
	if err != nil {
		return s, err
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return s, err
	}
	var envelope dsse.Envelope
	if err := json.Unmarshal(b, &envelope); err != nil {
		return s, err
	}
	if envelope.PayloadType != PayloadType {
		return s, fmt.Errorf("it is of a %q", envelope.PayloadType)
	}
	verifier, err := dsse.NewEnvelopeVerifier(key)
	if err != nil {
		return s, err
	}
	_, payload, err := verifier.VerifyAndDecode(ctx, &envelope)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(payload, &s)
}

// edKey implements dsse.Signer and dsse.Verifier.
type edKey struct {
	private ed25519.PrivateKey
	public  ed25519.PublicKey
}

func (k edKey) Sign(_ context.Context, data []byte) ([]byte, error) {
	return ed25519.Sign(k.private, data), nil
}

func (k edKey) Verify(_ context.Context, data, sig []byte) error {
	if !ed25519.Verify(k.public, data, sig) {
		return errors.New("it is not by this key")
	}
	return nil
}

func (k edKey) KeyID() (string, error)   { return dsse.SHA256KeyID(k.public) }
func (k edKey) Public() crypto.PublicKey { return k.public }

var errKey = errors.New("no Ed25519 key in PEM")

func parsePrivate(b []byte) (edKey, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return edKey{}, errKey
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := key.(ed25519.PrivateKey)
	if err != nil || !ok {
		return edKey{}, fmt.Errorf("%w (PKCS #8)", errKey)
	}
	return edKey{private, private.Public().(ed25519.PublicKey)}, nil
}

func parsePublic(b []byte) (edKey, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return edKey{}, errKey
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	public, ok := key.(ed25519.PublicKey)
	if err != nil || !ok {
		return edKey{}, fmt.Errorf("%w (PKIX)", errKey)
	}
	return edKey{public: public}, nil
}
