package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/manifest"
	"github.com/spf13/cobra"
)

// versions is what `megabin version --json` prints.
type versions struct {
	Megabin  string `json:"megabin"`
	ABI      int    `json:"abi"`
	Manifest int    `json:"manifest"`
	Go       string `json:"go"`
	Wazero   string `json:"wazero"`
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of megabin, its formats and its engine",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := collectVersions()
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "megabin %s\nabi %d, manifest %d\n%s, wazero %s\n",
				v.Megabin, v.ABI, v.Manifest, v.Go, v.Wazero)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func collectVersions() versions {
	v := versions{
		Megabin: "unknown", ABI: abi.Version, Manifest: manifest.Version,
		Go: runtime.Version(), Wazero: "unknown",
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Megabin = info.Main.Version
	for _, dep := range info.Deps {
		if dep.Path == "github.com/tetratelabs/wazero" {
			v.Wazero = dep.Version
			if dep.Replace != nil { // by runtime/wazero/prepare
				v.Wazero += " with patches"
			}
		}
	}
	return v
}
