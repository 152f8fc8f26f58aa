package integration

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/megabin/megabin/integration/debian"
)

// serversImage has Debian's NGINX and Redis, as apt installs them.
var serversImage = sync.OnceValues(func() (small, error) {
	base, err := scratch()
	if err != nil {
		return small{}, err
	}
	spec := debian.Spec{Suite: debian.Minbase.Suite, Include: []string{"nginx-light", "redis-server"}}
	img, err := debianImage(context.Background(), spec)
	if err != nil {
		return small{}, err
	}
	s := small{rootfs: img.Rootfs, layout: filepath.Join(base, "servers")}
	s.ref = "oci:" + s.layout + ":latest"
	return s, convert(img.Ref(), s.ref)
})

// server is a running container with one published port.
type server struct {
	addr string // of the host
	log  bytes.Buffer
	cmd  *exec.Cmd
	done chan error
}

// startServer runs a command of the servers' image and waits until ready says
// that its port answers.
func startServer(t *testing.T, guestPort int, ready func(addr string) error, args ...string) *server {
	t.Helper()
	ref := need(t, serversImage).ref
	s := &server{addr: freeAddr(t), done: make(chan error, 1)}
	all := append([]string{"run", "-p", fmt.Sprintf("%s:%d", s.addr, guestPort), ref}, args...)
	s.cmd = exec.Command(megabin(), all...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	deadline := time.Now().Add(stepTimeout)
	for {
		err := ready(s.addr)
		if err == nil {
			return s
		}
		select {
		case end := <-s.done:
			t.Fatalf("%v: ended: %v\n%s", args, end, s.log.Bytes())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.cmd.Process.Kill()
			<-s.done
			t.Fatalf("%v: no answer: %v\n%s", args, err, s.log.Bytes())
		}
	}
}

// freeAddr is an address of the host on which nobody listens.
func freeAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// stop ends the server as docker stop does, and expects status 0.
func (s *server) stop(t *testing.T) {
	t.Helper()
	s.cmd.Process.Signal(os.Interrupt)
	select {
	case err := <-s.done:
		if err != nil {
			t.Errorf("the server ended with %v\n%s", err, s.log.Bytes())
		}
	case <-time.After(stepTimeout):
		s.cmd.Process.Kill()
		<-s.done
		t.Errorf("the server did not end on SIGINT\n%s", s.log.Bytes())
	}
}

func get(url string) (status int, body []byte, err error) {
	r, err := http.Get(url)
	if err != nil {
		return 0, nil, err
	}
	defer r.Body.Close()
	body, err = io.ReadAll(r.Body)
	return r.StatusCode, body, err
}

// TestNginx has Debian's NGINX with its own configuration, a master and its
// workers, serve its start page to a client on the host.
func TestNginx(t *testing.T) {
	s := startServer(t, 80, func(addr string) error {
		_, _, err := get("http://" + addr + "/")
		return err
	}, "nginx", "-g", "daemon off;")
	defer s.stop(t)
	url := "http://" + s.addr
	want, err := os.ReadFile(filepath.Join(need(t, serversImage).rootfs, "var/www/html/index.nginx-debian.html"))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				if status, body, err := get(url + "/"); err != nil || status != 200 || !bytes.Equal(body, want) {
					t.Errorf("/: status %d, %d bytes of %d, %v", status, len(body), len(want), err)
				}
			}
		})
	}
	all.Wait()
	if status, _, err := get(url + "/none"); err != nil || status != 404 {
		t.Errorf("/none: status %d, %v", status, err)
	}
}

// redis is a connection to Redis that sends inline commands.
type redis struct {
	conn net.Conn
	in   *bufio.Reader
}

// ask sends a command and gives the first line of its answer, and the second
// if the first is a string's length.
func (r redis) ask(command string) (string, error) {
	if _, err := io.WriteString(r.conn, command+"\r\n"); err != nil {
		return "", err
	}
	line, err := r.in.ReadString('\n')
	if err == nil && strings.HasPrefix(line, "$") && !strings.HasPrefix(line, "$-1") {
		line, err = r.in.ReadString('\n')
	}
	return strings.TrimSpace(line), err
}

func dialRedis(addr string) (redis, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return redis{}, err
	}
	conn.SetDeadline(time.Now().Add(stepTimeout))
	return redis{conn, bufio.NewReader(conn)}, nil
}

// TestRedis has Debian's Redis keep values, run a script, save in a forked
// child, and end when told.
func TestRedis(t *testing.T) {
	s := startServer(t, 6379, func(addr string) error {
		r, err := dialRedis(addr)
		if err != nil {
			return err
		}
		defer r.conn.Close()
		if answer, err := r.ask("PING"); err != nil || answer != "+PONG" {
			return fmt.Errorf("PING: %q, %v", answer, err)
		}
		return nil
	}, "redis-server", "--dir", "/run", "--save", "")
	r, err := dialRedis(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer r.conn.Close()
	for _, c := range []struct{ command, want string }{
		{"SET name value", "+OK"}, {"GET name", "value"}, {"GET none", "$-1"}, {"INCR count", ":1"}, {"INCR count", ":2"},
		{"RPUSH list a b c", ":3"}, {"LINDEX list 1", "b"}, {"EVAL 'return redis.call(\"get\",KEYS[1])..ARGV[1]' 1 name x", "valuex"},
		{"EXPIRE name 100", ":1"}, {"DBSIZE", ":3"}, {"BGSAVE", "+Background saving started"}, {"NONSENSE", "-ERR unknown command 'NONSENSE', with args beginning with:"},
	} {
		if got, err := r.ask(c.command); err != nil || got != c.want {
			t.Errorf("%s: %q, want %q; %v", c.command, got, c.want, err)
		}
	}
	if err := r.awaitSave(); err != nil {
		t.Error(err)
	}
	r.ask("SHUTDOWN NOSAVE")
	if err := <-s.done; err != nil {
		t.Errorf("ended with %v\n%s", err, s.log.Bytes())
	}
}

// awaitSave waits until the forked child has saved.
func (r redis) awaitSave() error {
	for deadline := time.Now().Add(stepTimeout); ; time.Sleep(50 * time.Millisecond) {
		if _, err := io.WriteString(r.conn, "INFO persistence\r\n"); err != nil {
			return err
		}
		head, err := r.in.ReadString('\n')
		if err != nil {
			return err
		}
		var n int
		fmt.Sscanf(head, "$%d", &n)
		text := make([]byte, n+2)
		if _, err := io.ReadFull(r.in, text); err != nil {
			return err
		}
		if bytes.Contains(text, []byte("rdb_bgsave_in_progress:0")) {
			if !bytes.Contains(text, []byte("rdb_last_bgsave_status:ok")) {
				return fmt.Errorf("saving failed: %s", text)
			}
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("still saving: %s", text)
		}
	}
}
