package images

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/megabin/megabin/integration/oracle"
)

// aptDockerfile installs packages upon minbase. Package lists are fetched once.
const aptDockerfile = `FROM MINBASE AS lists
RUN apt-get update -qq
FROM MINBASE
ARG PACKAGES
RUN --mount=type=bind,from=lists,source=/var/lib/apt/lists,target=/var/lib/apt/lists,rw \
    --mount=type=cache,target=/var/cache/apt \
    DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends $PACKAGES
`

// debianImage is an image of Debian's packages, how it is built, and what of it
// is run natively and converted.
type debianImage struct {
	name     string
	packages string // upon minbase; none: it is minbase; busybox-static: it is alone
	deliver  func(t *testing.T, dir, name string, args ...string)
	scripts  []string // of /bin/sh
}

var debianImages = []debianImage{
	{"busybox", "busybox-static", pushByBuildctl, []string{"ls -l /bin | head -n 5; uname; echo $((6*7)) | sed s/4/five/; exit 3"}},
	{"minbase", "", pushByBuildctl, []string{"ls -l /usr/bin /etc/*.conf | sort -k 9 | tail -n 50; cat /etc/debian_version; dpkg -l | wc -l", "find /usr/bin | sort | tail -3; exit 3"}},
	{"python3", "python3", pushByBuildx, []string{
		`python3 -c 'import json, sqlite3, ssl, sys; print(json.dumps({"a": [1, 2.5, None]}), sqlite3.connect(":memory:").execute("select 6*7").fetchone(), sys.version)'`}},
	{"git", "git", ociByBuildctl, []string{
		`cd /tmp && git init -q -b main r && cd r && echo text > f && git add f && GIT_AUTHOR_DATE='100000000 +0000' GIT_COMMITTER_DATE='100000001 +0000' git -c user.name=n -c user.email=e commit -qm m && git log --stat && git fsck`}},
	{"nginx", "nginx-light", ociByBuildx, []string{"nginx -V", "nginx -t"}},
	{"redis", "redis-server", pushByBuildctl, []string{
		`redis-server --port 0 --unixsocket /tmp/s --daemonize yes >/dev/null; until redis-cli -s /tmp/s ping; do sleep 0.1; done 2>&1 | tail -n 1; redis-cli -s /tmp/s set k v; redis-cli -s /tmp/s eval 'return redis.call("get", KEYS[1])' 1 k; redis-cli -s /tmp/s shutdown nosave`}},
	{"perl", "perl", pushByBuildx, []string{
		`perl -MDigest::SHA=sha256_hex -MJSON::PP -MPOSIX -e 'print sha256_hex("x"), "\n", JSON::PP->new->canonical->encode({a => [1, floor(2.5)]}), "\n"; die "no\n"'`}},
}

// Ways to build with our frontend and to put the image into the registry.
func pushByBuildctl(t *testing.T, dir, name string, args ...string) {
	build{dir: dir, way: syntax, output: pushed(name), opts: args}.mustRun(t)
}

func pushByBuildx(t *testing.T, dir, name string, args ...string) {
	mustBuildx(t, buildxArgs(dir, args, "--push", "--provenance=false", "-t", env.image(name))...)
}

func ociByBuildctl(t *testing.T, dir, name string, args ...string) {
	file := filepath.Join(t.TempDir(), "o.tar")
	build{dir: dir, way: syntax, output: "type=oci,dest=" + file, opts: args}.mustRun(t)
	pushFile(t, file, name)
}

func ociByBuildx(t *testing.T, dir, name string, args ...string) {
	file := filepath.Join(t.TempDir(), "o.tar")
	mustBuildx(t, buildxArgs(dir, args, "--provenance=false", "--output", "type=oci,dest="+file)...)
	pushFile(t, file, name)
}

// buildxArgs are buildx's for a build, whose options are given as buildctl's.
func buildxArgs(dir string, opts []string, more ...string) []string {
	args := append([]string{"build", "-f", filepath.Join(dir, "syntax.Dockerfile")}, more...)
	for _, o := range opts {
		args = append(args, "--build-arg", strings.TrimPrefix(o, "build-arg:"))
	}
	return append(args, dir)
}

func pushFile(t *testing.T, file, name string) {
	t.Helper()
	must(t, "skopeo", "copy", "-q", "--dest-tls-verify=false", "oci-archive:"+file, "docker://"+env.image(name))
}

// TestDebianImages builds images as people do, with apt, in all ways of
// delivery, and has other tools read them; what they do is what the plain ones
// do natively.
func TestDebianImages(t *testing.T) {
	for _, d := range debianImages {
		t.Run(d.name, d.test)
	}
}

func (d debianImage) test(t *testing.T) {
	theBusybox(t) // which seeds
	dir, args := d.context(t)
	source, converted := "debian-plain:"+d.name, "debian-converted:"+d.name
	build{dir: dir, way: plain, output: pushed(source), opts: args}.mustRun(t)
	cli := "docker://" + env.image("debian-cli:"+d.name)
	must(t, megabin(), "convert", "docker://"+env.image(source), cli)
	must(t, megabin(), "check", "--source", "docker://"+env.image(source), cli)
	seedUnits(t, cli)
	d.deliver(t, dir, converted, args...)
	sameFiles(t, source, converted)
	d.sameBase(t, converted)
	rootfs := unpacked(t, source)
	for _, script := range d.scripts {
		d.sameScript(t, converted, rootfs, script)
	}
}

func (d debianImage) context(t *testing.T) (dir string, opts []string) {
	switch d.packages {
	case "":
		return buildContext(t, "FROM "+theMinbase(t)+"\n", nil), nil
	case "busybox-static":
		return busyboxContext(t), nil
	}
	return buildContext(t, strings.ReplaceAll(aptDockerfile, "MINBASE", theMinbase(t)), nil), []string{"build-arg:PACKAGES=" + d.packages}
}

// sameBase checks that the base's layer is the one of the converted base.
func (d debianImage) sameBase(t *testing.T, converted string) {
	t.Helper()
	if d.name == "minbase" || d.name == "busybox" {
		return
	}
	want, have := manifestOf(t, "debian-converted:minbase").Layers, manifestOf(t, converted).Layers
	if len(have) != 3 || have[0].Digest != want[0].Digest {
		t.Errorf("layers %v upon minbase's %v", have, want)
	}
}

// unpacked is a directory with an image's files and their owners, which are all
// root in a build's local output.
func unpacked(t *testing.T, name string) string {
	t.Helper()
	file, dir := filepath.Join(t.TempDir(), "fs.tar"), t.TempDir()
	must(t, tool("crane"), "export", env.image(name), file)
	must(t, "tar", "-C", dir, "--numeric-owner", "-xpf", file)
	return dir
}

const debianPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func (d debianImage) sameScript(t *testing.T, converted, rootfs, script string) {
	t.Helper()
	cmd, err := oracle.Command(t.Context(), oracle.Spec{Rootfs: rootfs, Dir: "/", Env: []string{debianPath, "HOME=/root"}, Args: []string{"/bin/sh", "-c", script}, Container: true})
	if err != nil {
		t.Fatal(err)
	}
	want := capture(t, cmd)
	have := capture(t, exec.Command(megabin(), "run", "-e", debianPath, "-e", "HOME=/root", "docker://"+env.image(converted), "/bin/sh", "-c", script))
	if have != want || want.stdout+want.stderr == "" {
		t.Errorf("%s: %+v\nnatively %+v", script, have, want)
	}
}
