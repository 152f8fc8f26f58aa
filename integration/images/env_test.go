package images

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/megabin/megabin/integration/frontendimage"
	"github.com/megabin/megabin/integration/oracle"
	"github.com/megabin/megabin/layers/image"
)

// Programs under test and beside it.
func megabin() string {
	if p := os.Getenv("MEGABIN"); p != "" {
		return p
	}
	return filepath.Join("..", "..", "bin", "megabin")
}

// frontendBinary is what the frontend's image holds.
func frontendBinary() string { return megabin() + "-frontend" }

func tool(name string) string { return filepath.Join("..", "..", "out", "tools", name) }

// environment is what all tests share.
type environment struct {
	dir      string
	registry string // HOST:PORT
	socket   string // of buildkitd
	daemons  []*exec.Cmd
	buildkit *exec.Cmd
}

var env environment

func TestMain(m *testing.M) {
	oracle.Main()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if reason := missing(); reason != "" {
		fmt.Println("skipping all tests:", reason)
		return 0
	}
	defer env.stop()
	if err := env.start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// missing tells why the tests can't be run here.
func missing() string {
	if os.Geteuid() != 0 {
		return "buildkitd needs root"
	}
	for _, p := range []string{"runc", "skopeo", "docker-registry", "gcc"} {
		if _, err := exec.LookPath(p); err != nil {
			return err.Error()
		}
	}
	for _, p := range []string{tool("buildkitd"), tool("buildctl"), tool("crane"), tool("buildx"), megabin()} {
		if _, err := os.Stat(p); err != nil {
			return err.Error() + ": run `make integration`"
		}
	}
	return ""
}

func (e *environment) start() (err error) {
	if e.dir, err = os.MkdirTemp("", "megabin-images-"); err != nil {
		return err
	}
	if err := e.separateCache(); err != nil {
		return err
	}
	if err := e.startRegistry(); err != nil {
		return err
	}
	if err := e.startBuildkit(); err != nil {
		return err
	}
	img, err := frontendimage.New(frontendBinary())
	if err != nil {
		return err
	}
	ref, err := image.Parse("docker://" + e.image("megabin"))
	if err != nil {
		return err
	}
	return ref.Write(ctxBackground, img, nil)
}

// shared are the parts of the caches that outlive the tests. The others, such
// as unpacked layers, are of images that nobody has again.
var shared = []string{"megabin-test", "megabin/units", "megabin/code"}

// separateCache makes a cache for the tests, with the user's own as parts of it.
func (e *environment) separateCache() error {
	own, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(e.dir, "xdg")
	for _, name := range shared {
		from, to := filepath.Join(own, name), filepath.Join(dir, name)
		for _, d := range []string{from, filepath.Dir(to)} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				return err
			}
		}
		if err := os.Symlink(from, to); err != nil {
			return err
		}
	}
	return os.Setenv("XDG_CACHE_HOME", dir)
}

// image is a name in the registry.
func (e *environment) image(name string) string { return e.registry + "/" + name }

func (e *environment) startRegistry() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	e.registry = fmt.Sprintf("localhost:%d", l.Addr().(*net.TCPAddr).Port)
	l.Close()
	config := fmt.Sprintf("version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\n",
		filepath.Join(e.dir, "registry"), l.Addr())
	name := filepath.Join(e.dir, "registry.yml")
	if err := os.WriteFile(name, []byte(config), 0o644); err != nil {
		return err
	}
	if _, err := e.daemon("registry", "docker-registry", "serve", name); err != nil {
		return err
	}
	return e.wait("the registry", func() error {
		r, err := http.Get("http://" + e.registry + "/v2/")
		if err == nil {
			r.Body.Close()
		}
		return err
	})
}

const buildkitConfig = `root = %q
[grpc]
  address = ["unix://%s"]
[worker.oci]
  enabled = true
  snapshotter = "overlayfs"
  networkMode = "host"
  gc = false
[worker.containerd]
  enabled = false
[registry.%q]
  http = true
`

func (e *environment) startBuildkit() (err error) {
	e.socket = filepath.Join(e.dir, "buildkitd.sock")
	name := filepath.Join(e.dir, "buildkitd.toml")
	config := fmt.Sprintf(buildkitConfig, filepath.Join(e.dir, "buildkit"), e.socket, e.registry)
	if err := os.WriteFile(name, []byte(config), 0o644); err != nil {
		return err
	}
	if e.buildkit, err = e.daemon("buildkitd", tool("buildkitd"), "--config", name); err != nil {
		return err
	}
	return e.wait("buildkitd", func() error {
		return exec.Command(tool("buildctl"), "--addr", "unix://"+e.socket, "debug", "workers").Run()
	})
}

// daemon starts a program that ends with the tests; what it says is in
// NAME.log.
func (e *environment) daemon(name, program string, args ...string) (*exec.Cmd, error) {
	log, err := os.OpenFile(filepath.Join(e.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	e.daemons = append(e.daemons, cmd)
	return cmd, cmd.Start()
}

// wait waits until something works.
func (e *environment) wait(what string, try func() error) (err error) {
	for range 300 {
		if err = try(); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("%s does not come up: %w; see %s", what, err, e.dir)
}

// stop ends the daemons and removes what they left.
func (e *environment) stop() {
	for _, cmd := range e.daemons {
		if cmd.Process != nil {
			cmd.Process.Signal(syscall.SIGTERM)
			cmd.Wait()
		}
	}
	unmountBelow(e.dir)
	if err := os.RemoveAll(e.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// unmountBelow unmounts what a killed daemon left mounted.
func unmountBelow(dir string) {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return
	}
	lines := strings.Split(string(b), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			syscall.Unmount(f[1], syscall.MNT_DETACH)
		}
	}
}

// must runs a command that has to work and returns its standard output.
func must(t testing.TB, program string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &stdout, io.MultiWriter(&stderr)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, stderr.String())
	}
	return stdout.String()
}

// outcome is what a command left.
type outcome struct {
	stdout, stderr string
	status         int
}

func capture(t testing.TB, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}
