package cli

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/cli.md")

// reference writes what --help says about all commands as one page.
func reference() string {
	var b strings.Builder
	b.WriteString("# Command line\n\n<!-- Made of the commands' help by: go test ./cmd/cli -run TestReference -update -->\n\n")
	root := newRoot()
	root.InitDefaultCompletionCmd()
	describe(&b, root)
	return b.String()
}

func describe(b *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(b, "## %s\n\n%s.\n\n", cmd.CommandPath(), cmd.Short)
	section := func(name, text string) {
		if text = strings.TrimRight(text, " \n"); text != "" {
			fmt.Fprintf(b, "%s\n\n```\n%s\n```\n\n", name, text)
		}
	}
	if cmd.Runnable() {
		section("**Synopsis**", cmd.UseLine())
	}
	// Indented lines of a help text are tables and commands.
	section("**Description**", cmd.Long)
	section("**Options**", cmd.NonInheritedFlags().FlagUsages())
	section("**Examples**", cmd.Example)
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			describe(b, c)
		}
	}
}

// TestReference fails when docs/cli.md is not what the commands say.
func TestReference(t *testing.T) {
	name := filepath.Join("..", "..", "docs", "cli.md")
	want := reference()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("%s is stale: go test ./cmd/cli -run TestReference -update", name)
	}
	for _, command := range []string{"convert", "run", "inspect", "check", "sign", "completion bash"} {
		if !strings.Contains(want, "## megabin "+command+"\n") {
			t.Errorf("it says nothing about %s", command)
		}
	}
}

// TestCompletion asks as the shells' scripts do.
func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"image", "imagine"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"conv"}, []string{"convert\tRecompile an image to WebAssembly"}},
		{[]string{"convert", "oci"}, []string{"oci:", "docker://", "oci-archive:"}},
		{[]string{"convert", "oci:" + dir + "/image"}, []string{"oci:" + dir + "/image\n"}},
		{[]string{"run", "oci:" + dir + "/im"}, []string{"oci:" + dir + "/image\n", "oci:" + dir + "/imagine\n"}},
		{[]string{"run", "--net", ""}, []string{"none\n", "host\n"}},
		{[]string{"convert", "--platform", ""}, []string{"linux/amd64/v2\n"}},
	} {
		status, out, errs := megabin(t, "", append([]string{"__complete"}, tt.args...)...)
		for _, want := range tt.want {
			if status != 0 || !strings.Contains(out, want) {
				t.Errorf("%q: status %d, %s%s", tt.args, status, out, errs)
			}
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if status, out, _ := megabin(t, "", "completion", shell); status != 0 || !strings.Contains(out, "megabin") {
			t.Errorf("no script for %s", shell)
		}
	}
}
