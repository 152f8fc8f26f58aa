package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/megabin/megabin/layers/image"
	"github.com/megabin/megabin/layers/manifest"
	"github.com/megabin/megabin/layers/pack"
	"github.com/spf13/cobra"
)

// inspection is what `megabin inspect --json` prints: the manifest and what
// only the megabinary tells.
type inspection struct {
	*manifest.Manifest
	Sharing sharing `json:"sharing"`
}

// sharing tells what it saved that identical functions are kept once.
type sharing struct {
	Functions     int    `json:"functions"`     // of all units
	Bodies        int    `json:"bodies"`        // distinct ones
	FunctionBytes uint64 `json:"functionBytes"` // if each were kept
	BodyBytes     uint64 `json:"bodyBytes"`     // as they are kept
}

func newInspect() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Show what is recompiled in a converted image",
		Long: `Inspect lists each recompiled ELF of a converted image with its hash, kind, size
and coverage, what was left out and why, and how much space it saved that
identical functions of different files are kept once.`,
		Example: `  megabin inspect oci:debian-wasm
  megabin inspect --json oci:debian-wasm | jq '.entries[].paths[0]'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := inspectImage(cmd, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(in)
			}
			return in.print(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the manifest and the sum of sharing as JSON")
	return cmd
}

func inspectImage(cmd *cobra.Command, text string) (*inspection, error) {
	img, closeImage, err := open(cmd.Context(), text)
	if err != nil {
		return nil, err
	}
	defer closeImage()
	// The last layer has all; only a docker archive does not say that it is
	// converted.
	c, err := image.OpenConverted(img)
	if errors.Is(err, image.ErrNotConverted) {
		return inspectProgram(text, img)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", text, err)
	}
	defer c.Close()
	s, err := measureSharing(c.Megabinary)
	return &inspection{c.Manifest, s}, err
}

func inspectProgram(text string, img v1.Image) (*inspection, error) {
	store, err := openStore()
	if err != nil {
		return nil, err
	}
	p, err := image.OpenProgram(store, img)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", text, err)
	}
	defer p.Close()
	s, err := measureSharing(p.Megabinary)
	return &inspection{p.Manifest, s}, err
}

func measureSharing(mb *pack.Megabinary) (s sharing, err error) {
	seen := map[uint64]bool{}
	for i := range mb.Units() {
		u, _, err := mb.Unit(mb.Source(i))
		if err != nil {
			return s, err
		}
		for f := range u.Functions() {
			off, size := u.Body(f)
			s.Functions++
			s.FunctionBytes += uint64(size)
			if !seen[off] {
				seen[off] = true
				s.Bodies++
				s.BodyBytes += uint64(size)
			}
		}
	}
	return s, nil
}

func (in *inspection) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "BLAKE3\tKIND\tSIZE\tFUNCTIONS\tCODE COVERED\tUNTRANSLATED\tPATHS")
	for _, e := range in.Entries {
		c := e.Coverage
		fmt.Fprintf(t, "%.12s\t%s\t%s\t%d\t%s\t%d\t%s\n", e.BLAKE3, e.Kind, size(e.Size), c.Functions,
			percent(c.CoveredBytes, c.ExecutableBytes), c.Untranslated, strings.Join(e.Paths, " "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range in.Refused {
		fmt.Fprintf(w, "can't run: %s: %s\n", strings.Join(r.Paths, " "), r.Reason)
	}
	s := in.Sharing
	_, err := fmt.Fprintf(w, "\n%d ELF files; megabinary %s, translator %s\n%d functions, %d distinct: sharing saved %s of %s\n",
		len(in.Entries), size(in.Megabinary.Size), in.Translator,
		s.Functions, s.Bodies, size(int64(s.FunctionBytes-s.BodyBytes)), size(int64(s.FunctionBytes)))
	return err
}
