package integration

import (
	"fmt"
	"os"
	"testing"

	"github.com/megabin/megabin/integration/oracle"
)

func TestMain(m *testing.M) {
	oracle.Main()
	code := m.Run()
	if err := os.RemoveAll(scratchBase); scratchBase != "" && err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}
