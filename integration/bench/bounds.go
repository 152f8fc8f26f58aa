package main

import (
	"context"
	"fmt"

	"github.com/megabin/megabin/integration/container"
	"github.com/megabin/megabin/runtime/runner"
)

// neighbours are what runs in another container of the same process.
var neighbours = []struct{ name, guest string }{
	{"fork bomb", "bomb"}, {"memory hog", "hog"}, {"spinning guest", "loop"}, {"fd leak", "leak"},
}

// neighbourBounds leave the rest of the machine to others.
var neighbourBounds = runner.Bounds{Memory: 256 << 20, Tasks: 100, CPUs: 1}

// latencies are what a container does beside its neighbour, in micro's words.
var latencies = []string{"getpid", "pipe", "fork", "spawn"}

// bounds prints how much slower a container is with a bad neighbour.
func (b *bench) bounds(ctx context.Context) error {
	if !b.wants("bounds") {
		return nil
	}
	img, err := b.guestImage(ctx)
	if err != nil {
		return err
	}
	defer img.Close()
	fmt.Printf("median latency of a container beside a neighbour in the same process, alone right before = 1\n(the neighbour has %d MiB, %d tasks, %g processor)\n\n%-16s",
		neighbourBounds.Memory>>20, neighbourBounds.Tasks, neighbourBounds.CPUs, "")
	for _, l := range latencies {
		fmt.Printf(" %10s", l)
	}
	fmt.Println()
	for _, n := range neighbours {
		alone, err := b.neighbour(ctx, img, n.name, "")
		if err != nil {
			return fmt.Errorf("alone: %w", err)
		}
		beside, err := b.neighbour(ctx, img, n.name, n.guest)
		if err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		fmt.Printf("%-16s", n.name)
		for j := range latencies {
			fmt.Printf(" %9.2f×", beside[j]/alone[j])
		}
		fmt.Println()
	}
	fmt.Println()
	return nil
}

// neighbour measures all latencies beside a guest; none if it is empty.
func (b *bench) neighbour(ctx context.Context, img *container.Image, name, guest string) (medians []float64, err error) {
	engine := "alone"
	if guest != "" {
		engine = "beside"
		g, err := startGuests(ctx, img, guest, 1, neighbourBounds)
		if err != nil {
			return nil, err
		}
		defer func() {
			if stopErr := g.stop(); err == nil {
				err = stopErr
			}
		}()
	}
	all := make([][]float64, len(latencies))
	for range b.runs { // a row is over in milliseconds, and a neighbour is not always the same
		for i, l := range latencies {
			out, err := output(ctx, img, "/bin/micro", l)
			if err != nil {
				return nil, err
			}
			values, err := numbers(out)
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], values...)
		}
	}
	for i, l := range latencies {
		b.add(sample{"bound", l + ", " + name, engine, "ns", all[i]})
		medians = append(medians, median(all[i]))
	}
	return medians, nil
}
