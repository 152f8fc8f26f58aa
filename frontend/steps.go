package frontend

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/megabin/megabin/converter"
)

// Files that Pack writes beside the layer.
const (
	PackedFile = "packed.json" // converter.Packed
	ReportFile = "report.json" // converter.Report
)

// ReportType is the predicate type of the attestation that holds a
// converter.Report.
const ReportType = "https://megabin.dev/report/v1"

// Pack makes the last layer in out and the files about it in meta.
func Pack(ctx context.Context, states []string, out, meta string, o converter.Options) (*converter.Report, error) {
	packed, err := converter.PackLayers(ctx, states, out, o)
	if err != nil {
		return nil, err
	}
	for name, v := range map[string]any{PackedFile: packed, ReportFile: packed.Report} {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(meta, name), b, 0o644); err != nil {
			return nil, err
		}
	}
	return packed.Report, nil
}
