package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// bundle is an OCI runtime bundle, for runc and runsc.
type bundle struct {
	dir           string
	spec, process map[string]any
}

// bundleMount is a mount as a bundle's config.json has it.
type bundleMount struct {
	Destination string   `json:"destination"`
	Type        string   `json:"type"`
	Source      string   `json:"source"`
	Options     []string `json:"options,omitempty"`
}

// newBundle makes a bundle in dir whose root is rootfs, read-only, with these
// mounts besides the usual ones.
func newBundle(ctx context.Context, dir, rootfs string, mounts ...bundleMount) (*bundle, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := command(ctx, "runc", "spec", "--bundle", dir); err != nil {
		return nil, err
	}
	b := &bundle{dir: dir}
	data, err := os.ReadFile(b.config())
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &b.spec); err != nil {
		return nil, err
	}
	var ok bool
	if b.process, ok = b.spec["process"].(map[string]any); !ok {
		return nil, fmt.Errorf("%s has no process", b.config())
	}
	usual, _ := b.spec["mounts"].([]any)
	for _, m := range mounts {
		usual = append(usual, m)
	}
	b.spec["mounts"] = usual
	b.spec["root"] = map[string]any{"path": rootfs, "readonly": true}
	return b, nil
}

func (b *bundle) config() string { return filepath.Join(b.dir, "config.json") }

// set says what is to run.
func (b *bundle) set(args []string) error {
	b.process["terminal"], b.process["args"], b.process["env"] = false, args, guestEnv
	data, err := json.Marshal(b.spec)
	if err != nil {
		return err
	}
	return os.WriteFile(b.config(), data, 0o644)
}

// containerID is a name that no other container has.
func containerID() string { return fmt.Sprintf("megabin-bench-%d", time.Now().UnixNano()) }
