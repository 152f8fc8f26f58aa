package images

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// another is a registry besides the one that all tests share.
type another struct {
	host string // HOST:PORT
	dir  string
	more string // lines of its configuration
	cmd  *exec.Cmd
}

// newAnother starts a registry.
func newAnother(t *testing.T, more string) *another {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	r := &another{host: fmt.Sprintf("localhost:%d", l.Addr().(*net.TCPAddr).Port), dir: t.TempDir(), more: more}
	r.start(t)
	return r
}

// start starts it, again if it was killed.
func (r *another) start(t *testing.T) {
	t.Helper()
	config := fmt.Sprintf("version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\n%s",
		filepath.Join(r.dir, "registry"), r.host, r.more)
	name := filepath.Join(r.dir, "registry.yml")
	if err := os.WriteFile(name, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.cmd, err = env.daemon("another", "docker-registry", "serve", name); err != nil {
		t.Fatal(err)
	}
	if err := env.wait("another registry", func() error {
		r, err := http.Get("http://" + r.host + "/v2/")
		if err == nil {
			r.Body.Close()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// The password of user is secret; this is its hash, by bcrypt at the lowest cost.
const htpasswd = "user:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"

// guarded starts a registry with a password, and names an image in it.
func guarded(t *testing.T) string {
	t.Helper()
	users := filepath.Join(t.TempDir(), "htpasswd")
	write(t, users, htpasswd)
	return newAnother(t, fmt.Sprintf("auth: {htpasswd: {realm: test, path: %s}}\n", users)).host + "/private:1"
}
