// Command wasmrun runs `kernel` of a bare wasm module, the baseline of the
// benchmarks: what the engine does with code that a compiler made for it. It
// prints as examples/kernels/main.c does. It is a module of its own because in
// megabin only runtime/machine may use the engine.
//
//	wasmrun KERNEL.wasm N
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/tetratelabs/wazero"
	"golang.org/x/sys/unix"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "wasmrun:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: wasmrun KERNEL.wasm N")
	}
	code, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(args[1], 10, 32)
	if err != nil {
		return err
	}
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
	defer rt.Close(ctx)
	mod, err := rt.Instantiate(ctx, code)
	if err != nil {
		return err
	}
	kernel := mod.ExportedFunction("kernel")
	warm, err := kernel.Call(ctx, 1)
	if err != nil {
		return err
	}
	start := cpuNanos()
	sum, err := kernel.Call(ctx, n)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, cpuNanos()-start)
	fmt.Printf("%08x %08x\n", uint32(warm[0]), uint32(sum[0]))
	return nil
}

// cpuNanos is the CPU time of this process.
func cpuNanos() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic("BUG: " + err.Error())
	}
	return t.Nano()
}
