package images

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// The password of user is secret; this is its hash, by bcrypt at the lowest cost.
const htpasswd = "user:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"

// guarded starts a second registry, with a password, and names an image in it.
func guarded(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	host := fmt.Sprintf("localhost:%d", l.Addr().(*net.TCPAddr).Port)
	dir := t.TempDir()
	users := filepath.Join(dir, "htpasswd")
	write(t, users, htpasswd)
	config := fmt.Sprintf("version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\n"+
		"auth: {htpasswd: {realm: test, path: %s}}\n", filepath.Join(dir, "registry"), l.Addr(), users)
	name := filepath.Join(dir, "registry.yml")
	if err := os.WriteFile(name, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := env.daemon("guarded", "docker-registry", "serve", name); err != nil {
		t.Fatal(err)
	}
	if err := env.wait("the registry with a password", func() error {
		r, err := http.Get("http://" + host + "/v2/")
		if err == nil {
			r.Body.Close()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return host + "/private:1"
}
