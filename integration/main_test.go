package integration

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/megabin/megabin/integration/oracle"
)

func TestMain(m *testing.M) {
	// A signal that is ignored here, as under nohup, would be ignored in the
	// programs that run natively; one that is handled is not.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	oracle.Main()
	code := m.Run()
	if err := os.RemoveAll(scratchBase); scratchBase != "" && err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}
