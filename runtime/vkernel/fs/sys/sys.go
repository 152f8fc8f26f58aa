// Package sys is the sys file system as far as programs look at it: the
// processors and the one memory node of the machine that guests are told they run on.
package sys

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/megabin/megabin/runtime/vkernel/fs/synth"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// Options is what the machine has.
type Options struct {
	CPUs   int     // 1 to 64
	Caches []Cache // of each processor
}

// Cache is a cache as CPUID tells of it. A processor has it for itself.
type Cache struct {
	Type              string // "Data", "Instruction" or "Unified"
	Level, Ways, Sets int
	Line              int // bytes
}

// New makes a sys file system.
func New(o Options) vfs.FileSystem {
	o.CPUs = min(max(o.CPUs, 1), 64)
	return &synth.FS{
		Name: "sysfs", Magic: unix.SYSFS_MAGIC,
		Top: dir(synth.Static{
			{Name: "devices", Inode: dir(synth.Static{
				{Name: "system", Inode: dir(synth.Static{
					{Name: "cpu", Inode: o.cpus()},
					{Name: "node", Inode: o.nodes()},
				})},
			})},
		}),
	}
}

// all is a mask of all processors.
func (o Options) all() uint64 { return ^uint64(0) >> (64 - o.CPUs) }

func (o Options) cpus() vfs.Inode {
	list := linux.CPUList(o.all())
	names := synth.Static{
		{Name: "isolated", Inode: text("")},
		{Name: "kernel_max", Inode: text("63")},
		{Name: "offline", Inode: text("")},
		{Name: "online", Inode: text(list)},
		{Name: "possible", Inode: text(list)},
		{Name: "present", Inode: text(list)},
		{Name: "smt", Inode: dir(synth.Static{
			{Name: "active", Inode: text("0")},
			{Name: "control", Inode: text("notsupported")},
		})},
	}
	for i := range o.CPUs {
		names = append(names, synth.StaticName{Name: fmt.Sprintf("cpu%d", i), Inode: o.cpu(i)})
	}
	return dir(names)
}

func (o Options) cpu(i int) vfs.Inode {
	caches := synth.Static{}
	for n, c := range o.Caches {
		caches = append(caches, synth.StaticName{Name: fmt.Sprintf("index%d", n), Inode: o.cache(i, n, c)})
	}
	return dir(synth.Static{
		{Name: "cache", Inode: dir(caches)},
		{Name: "node0", Inode: link("../../node/node0")},
		{Name: "topology", Inode: o.topology(i)},
	})
}

// topology: each processor is a core of the one package.
func (o Options) topology(i int) vfs.Inode {
	names := synth.Static{
		{Name: "core_id", Inode: text(fmt.Sprint(i))},
		{Name: "die_id", Inode: text("0")},
		{Name: "physical_package_id", Inode: text("0")},
	}
	for _, set := range []struct {
		mask  uint64
		names []string
	}{
		{1 << i, []string{"core_cpus", "thread_siblings"}},
		{o.all(), []string{"core_siblings", "die_cpus", "package_cpus"}},
	} {
		for _, name := range set.names {
			names = append(names, synth.StaticName{Name: name, Inode: o.mask(set.mask)},
				synth.StaticName{Name: name + "_list", Inode: text(linux.CPUList(set.mask))})
		}
	}
	return dir(names)
}

func (o Options) cache(cpu, id int, c Cache) vfs.Inode {
	number := func(n int) vfs.Inode { return text(fmt.Sprint(n)) }
	return dir(synth.Static{
		{Name: "coherency_line_size", Inode: number(c.Line)},
		{Name: "id", Inode: number(cpu)},
		{Name: "level", Inode: number(c.Level)},
		{Name: "number_of_sets", Inode: number(c.Sets)},
		{Name: "physical_line_partition", Inode: number(1)},
		{Name: "shared_cpu_list", Inode: number(cpu)},
		{Name: "shared_cpu_map", Inode: o.mask(1 << cpu)},
		{Name: "size", Inode: text(fmt.Sprintf("%dK", c.Line*c.Ways*c.Sets>>10))},
		{Name: "type", Inode: text(c.Type)},
		{Name: "ways_of_associativity", Inode: number(c.Ways)},
	})
}

func (o Options) nodes() vfs.Inode {
	names := synth.Static{}
	for _, name := range []string{"has_cpu", "has_memory", "has_normal_memory", "online", "possible"} {
		names = append(names, synth.StaticName{Name: name, Inode: text("0")})
	}
	return dir(append(names, synth.StaticName{Name: "node0", Inode: o.node()}))
}

func (o Options) node() vfs.Inode {
	names := synth.Static{
		{Name: "cpulist", Inode: text(linux.CPUList(o.all()))},
		{Name: "cpumap", Inode: o.mask(o.all())},
		{Name: "distance", Inode: text("10")},
		{Name: "meminfo", Inode: file(meminfo)},
		{Name: "numastat", Inode: text("numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\nother_node 0")},
	}
	for i := range o.CPUs {
		cpu := fmt.Sprintf("cpu%d", i)
		names = append(names, synth.StaticName{Name: cpu, Inode: link("../../cpu/" + cpu)})
	}
	return dir(names)
}

// meminfo is the machine's memory, as proc shows the host's.
func meminfo() []byte {
	host, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return nil
	}
	return nodeMeminfo(host)
}

// notOfNodes are what a node's meminfo has not of the machine's.
var notOfNodes = []string{
	"MemAvailable", "Buffers", "Cached", "SwapTotal", "SwapFree", "Zswap", "Zswapped", "CommitLimit", "Committed_AS", "Vmalloc", "Percpu",
	"HardwareCorrupted", "Cma", "Hugepagesize", "Hugetlb", "DirectMap", "HugePages_Rsvd", "Balloon", "GPU",
}

func nodeMeminfo(machine []byte) []byte {
	var b bytes.Buffer
	var total uint64
	for line := range strings.Lines(string(machine)) {
		var kilobytes uint64
		name, value, _ := strings.Cut(line, ":")
		fmt.Sscan(value, &kilobytes)
		switch {
		case hasPrefixOf(name, notOfNodes):
			continue
		case name == "MemTotal":
			total = kilobytes
		case name == "MemFree":
			fmt.Fprintf(&b, "Node 0 %s", line)
			fmt.Fprintf(&b, "Node 0 MemUsed:  %14d kB\n", total-min(total, kilobytes))
			continue
		}
		fmt.Fprintf(&b, "Node 0 %s", line)
	}
	return b.Bytes()
}

func hasPrefixOf(s string, list []string) bool {
	for _, p := range list {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// mask is a file with a set of processors, as wide as there are.
func (o Options) mask(m uint64) vfs.Inode { return text(linux.CPUMask(m, o.CPUs)) }

func dir(names synth.Static) vfs.Inode { return synth.NewDir(0o555, 0, 0, names) }

// text is a file of a line.
func text(s string) vfs.Inode { return file(func() []byte { return []byte(s + "\n") }) }

func file(read func() []byte) vfs.Inode {
	return synth.NewFile(0o444, 0, 0, func() ([]byte, error) { return read(), nil }, nil)
}

func link(target string) vfs.Inode {
	return synth.NewLink(0, 0, func(*vfs.Caller) (string, error) { return target, nil })
}
