package dev_test

import (
	"bytes"
	"testing"

	"github.com/megabin/megabin/runtime/vkernel/fs/dev"
	"github.com/megabin/megabin/runtime/vkernel/fs/fstest"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// TestAgainstHost does the same on our devices and the host's.
func TestAgainstHost(t *testing.T) {
	fs, err := dev.New(false)
	if err != nil {
		t.Fatal(err)
	}
	g := fstest.NewGuest(t, fs)
	g.Caller.NS.System().Devices = &dev.Table{}
	for _, name := range []string{"null", "zero", "full"} {
		host, err := unix.Open("/dev/"+name, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Skip(err)
		}
		defer unix.Close(host)
		fd, err := g.Open(name, linux.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, want := bytes.Repeat([]byte{1}, 5000), bytes.Repeat([]byte{1}, 5000)
		n, err := g.Read(fd, got)
		m, hostErr := unix.Read(host, want)
		if n != m || linux.Errno(err) != linux.Errno(hostErr) || !bytes.Equal(got, want) {
			t.Errorf("read %s: %d %v, the host %d %v", name, n, err, m, hostErr)
		}
		n, err = g.Write(fd, got)
		m, hostErr = unix.Write(host, want)
		if n != max(m, 0) || linux.Errno(err) != linux.Errno(hostErr) {
			t.Errorf("write %s: %d %v, the host %d %v", name, n, err, m, hostErr)
		}
		off, err := g.Seek(fd, 100, unix.SEEK_SET)
		hostOff, hostErr := unix.Seek(host, 100, unix.SEEK_SET)
		if off != hostOff || linux.Errno(err) != linux.Errno(hostErr) {
			t.Errorf("seek %s: %d %v, the host %d %v", name, off, err, hostOff, hostErr)
		}
		a, err := g.Stat(name, 0)
		var st unix.Stat_t
		if hostErr := unix.Stat("/dev/"+name, &st); hostErr != nil || err != nil || a.Rdev != st.Rdev || a.Mode != st.Mode {
			t.Errorf("stat %s: %o %x %v, the host %o %x %v", name, a.Mode, a.Rdev, err, st.Mode, st.Rdev, hostErr)
		}
	}
}

func TestRandom(t *testing.T) {
	fs, err := dev.New(true)
	if err != nil {
		t.Fatal(err)
	}
	g := fstest.NewGuest(t, fs)
	g.Caller.NS.System().Devices = &dev.Table{}
	seen := map[[16]byte]bool{}
	for range 4 {
		for _, name := range []string{"random", "urandom"} {
			fd, err := g.Open(name, linux.O_RDONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			var p [16]byte
			if n, err := g.Read(fd, p[:]); n != 16 || err != nil || seen[p] {
				t.Errorf("%s: %d %v, %x", name, n, err, p)
			}
			seen[p] = true
		}
	}
	for _, name := range []string{"tty", "console"} {
		if _, err := g.Open(name, linux.O_RDWR, 0); err != unix.ENXIO {
			t.Errorf("%s without a terminal: %v", name, err)
		}
	}
}
