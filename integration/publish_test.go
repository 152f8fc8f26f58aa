package integration

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestPublishUDP has two clients on the host talk to a server inside, which
// sees the clients' own addresses.
func TestPublishUDP(t *testing.T) {
	img := need(t, socketsImage)
	addr := freeAddr(t)
	cmd := exec.Command(megabin(), "run", "-p", addr+":53/udp", img.ref, "/sockets", "serve-udp", "53")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	clients := make([]net.Conn, 2)
	for i := range clients {
		conn, err := net.Dial("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		clients[i] = conn
	}
	for i := range 6 {
		conn := clients[i%2]
		text := fmt.Sprintf("datagram %d", i)
		want := fmt.Sprintf("%d:%s", conn.LocalAddr().(*net.UDPAddr).Port, text)
		if got := exchange(t, conn, text); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	clients[0].Write(nil)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v: %s", err, log.Bytes())
	}
}

// exchange sends a datagram until it is answered: the first ones come before
// the server is there.
func exchange(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	buf := make([]byte, 2000)
	for deadline := time.Now().Add(stepTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		conn.Write([]byte(text))
		conn.SetReadDeadline(time.Now().Add(time.Second))
		n, err := conn.Read(buf)
		if err == nil && strings.HasSuffix(string(buf[:n]), text) {
			return string(buf[:n])
		}
	}
	t.Fatalf("no answer to %q", text)
	return ""
}

// TestPublishErrors is told at once what cannot be.
func TestPublishErrors(t *testing.T) {
	img := need(t, socketsImage)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct{ flags, says string }{
		{"-p " + l.Addr().String() + ":80", "address already in use"},
		{"--net host -p 1234:80", "nothing can be published"},
		{"--net nonsense", "nonsense"},
		{"-p 80", "want [IP:]HOST:GUEST"},
		{"-p 0:80", "no port number"},
		{"-p x:1:80", "no IP address"},
		{"-p 1234:80/sctp", "unknown protocol"},
	} {
		args := append(append([]string{"run"}, strings.Fields(c.flags)...), img.ref, "/sockets")
		got := capture(t, exec.Command(megabin(), args...))
		if got.status != 125 || !bytes.Contains(got.stderr, []byte(c.says)) {
			t.Errorf("%s: status %d, %q, want 125 and %q", c.flags, got.status, got.stderr, c.says)
		}
	}
}
