package images

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// keys makes a key of openssl's: the private and the public one's file.
func keys(t *testing.T) (private, public string) {
	t.Helper()
	dir := t.TempDir()
	private, public = filepath.Join(dir, "key"), filepath.Join(dir, "public")
	must(t, "openssl", "genpkey", "-algorithm", "ed25519", "-out", private)
	must(t, "openssl", "pkey", "-in", private, "-pubout", "-out", public)
	return private, public
}

// TestSign signs images that builds pushed: one, and an index of one and its
// provenance.
func TestSign(t *testing.T) {
	key, public := keys(t)
	_, other := keys(t)
	for tag, opts := range map[string][]string{"one": nil, "index": {"attest:provenance=mode=min"}} {
		name := env.image("tosign:" + tag)
		build{dir: simple(t), way: syntax, output: pushed("tosign:" + tag), opts: opts}.mustRun(t)
		image := must(t, tool("crane"), "digest", "--platform", "linux/amd64", name)
		verified := func(flags ...string) outcome {
			return capture(t, exec.Command(megabin(), append(append([]string{"run"}, flags...), name, "echo", "hello")...))
		}
		if o := verified("--verify-key", public); o.status != 125 || !strings.Contains(o.stderr, "there is none") {
			t.Errorf("%s, before: %+v", tag, o)
		}
		digest := must(t, megabin(), "sign", "--sign-key", key, "--sign-version", "2", name)
		if have := must(t, tool("crane"), "digest", name); have != digest {
			t.Errorf("%s: the digest is %s, sign says %s", tag, have, digest)
		}
		must(t, tool("crane"), "validate", "--remote", name)
		if same := must(t, tool("crane"), "digest", "--platform", "linux/amd64", name) == image; same != (tag == "index") {
			t.Errorf("%s: the image keeps its digest: %v", tag, same)
		}
		if o := verified("--verify-key", public, "--min-version", "2"); o.status != 0 || o.stdout != "hello\n" {
			t.Errorf("%s: %+v", tag, o)
		}
		for _, flags := range [][]string{{"--verify-key", other}, {"--verify-key", public, "--min-version", "3"}} {
			if o := verified(flags...); o.status != 125 || !strings.Contains(o.stderr, "signature") {
				t.Errorf("%s, %q: %+v", tag, flags, o)
			}
		}
		// Into a layout, and from there.
		layout := "oci:" + filepath.Join(t.TempDir(), "signed") + ":x"
		must(t, megabin(), "sign", "--sign-key", key, name, layout)
		must(t, megabin(), "check", "--verify-key", public, layout)
	}
	build{dir: simple(t), way: plain, output: pushed("tosign:plain")}.mustRun(t)
	o := capture(t, exec.Command(megabin(), "sign", "--sign-key", key, env.image("tosign:plain")))
	if o.status != 125 || !strings.Contains(o.stderr, "not converted") {
		t.Errorf("an image that is not converted: %+v", o)
	}
}
