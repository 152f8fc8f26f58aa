package integration

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"unsafe"

	"github.com/megabin/megabin/integration/oracle"
)

func TestMain(m *testing.M) {
	defaultSignals()
	oracle.Main()
	code := m.Run()
	if err := os.RemoveAll(scratchBase); scratchBase != "" && err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// defaultSignals sees to it that no signal which is ignored here is ignored in
// the programs that run natively.
func defaultSignals() {
	// nohup ignores SIGHUP; execve resets what is handled.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	// glibc's posix_spawn, and so make, starts programs with its two internal
	// signals ignored (sysdeps/unix/sysv/linux/spawni.c), which Go leaves so.
	const sizeofSigset = 8
	var dfl [4]uint64 // struct kernel_sigaction
	for _, sig := range []uintptr{32, 33} {
		_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&dfl)), 0, sizeofSigset, 0, 0)
		if errno != 0 {
			panic(errno)
		}
	}
}
