// /sys, as far as it tells of processors and memory nodes.
#include "test.h"
#include <stdarg.h>

static char b[4096];

static int slurp(const char *fmt, ...) {
	char name[200];
	va_list args;
	va_start(args, fmt);
	vsnprintf(name, sizeof name, fmt, args);
	va_end(args);
	int fd = open(name, O_RDONLY), n = fd < 0 ? -1 : read(fd, b, sizeof b - 1);
	close(fd);
	b[n < 0 ? 0 : n] = 0;
	return n;
}

#define CPU "/sys/devices/system/cpu/"
#define NODE "/sys/devices/system/node/"

// Machines differ in how their processors are grouped.
TEST(sysfs_cpus) {
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	P("%ld\n", n);
	slurp(CPU "online");
	P("online [%s]\n", b);
	static const char *sets[] = {"possible", "present", "isolated", "offline", "kernel_max"};
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) P("%s %d\n", sets[i], slurp(CPU "%s", sets[i]) > 0);
	static const char *files[] = {"topology/physical_package_id", "topology/core_id", "topology/die_id", "topology/core_cpus_list",
		"topology/package_cpus", "topology/thread_siblings"};
	for (int i = 0; i < n; i++)
		for (size_t j = 0; j < sizeof files / sizeof *files; j++) P("cpu%d/%s %d\n", i, files[j], slurp(CPU "cpu%d/%s", i, files[j]) > 0);
	P("%d\n", slurp(CPU "cpu%d/topology/core_id", 100000));
}

// Virtual machines may have nothing of caches.
TEST(sysfs_cache) {
	static const char *files[] = {"type", "level", "coherency_line_size", "ways_of_associativity", "number_of_sets"};
	for (size_t j = 0; j < sizeof files / sizeof *files; j++) P("%s %d\n", files[j], slurp(CPU "cpu0/cache/index0/%s", files[j]) > 0);
}

TEST(sysfs_node) {
	static const char *files[] = {"has_cpu", "has_memory", "has_normal_memory", "online", "possible", "node0/cpulist", "node0/cpumap",
		"node0/numastat", "node77/cpulist"};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) P("%s %d\n", files[i], slurp(NODE "%s", files[i]) > 0);
	slurp(NODE "node0/distance");
	P("%.2s\n", b);
	memset(b, 0, sizeof b);
	readlink(NODE "node0/cpu0", b, sizeof b - 1);
	P("%s\n", b);
	memset(b, 0, sizeof b);
	readlink(CPU "cpu0/node0", b, sizeof b - 1);
	P("%s\n", b);
	FILE *f = fopen(NODE "node0/meminfo", "r");
	char line[200];
	long total = 0, free = 0, used = 0;
	while (f && fgets(line, sizeof line, f)) {
		sscanf(line, "Node 0 MemTotal: %ld kB", &total);
		sscanf(line, "Node 0 MemFree: %ld kB", &free);
		sscanf(line, "Node 0 MemUsed: %ld kB", &used);
	}
	P("%d %d\n", total > 0, total == free + used);
}

TEST(sysfs_is_read_only) {
	S(open(CPU "online", O_WRONLY) < 0);
	S(mkdir(CPU "x", 0755) < 0);
}

static void allowed(void) {
	char line[1000];
	FILE *f = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof line, f))
		if (strstr(line, "_allowed")) P("%s", line);
	fclose(f);
}

TEST(proc_status_affinity) {
	allowed();
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	S(sched_setaffinity(0, sizeof set, &set));
	allowed();
	P("%ld\n", sysconf(_SC_NPROCESSORS_ONLN));
}
