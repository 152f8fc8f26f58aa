// A program of several commands, for images without anything else.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int cat(const char *name) {
	char buf[4096];
	size_t n;
	FILE *f = fopen(name, "r");
	if (!f) {
		printf("%s: %s\n", name, strerror(errno));
		return 1;
	}
	while ((n = fread(buf, 1, sizeof buf, f)) > 0)
		fwrite(buf, 1, n, stdout);
	return fclose(f);
}

static int write_file(const char *name, const char *text) {
	FILE *f = fopen(name, "w");
	return !f || fputs(text, f) < 0 || fclose(f);
}

int main(int argc, char **argv) {
	const char *cmd = argc > 1 ? argv[1] : "";
	if (!strcmp(cmd, "echo") && argc == 3)
		return puts(argv[2]) < 0;
	if (!strcmp(cmd, "cat") && argc == 3)
		return cat(argv[2]);
	if (!strcmp(cmd, "write") && argc == 4)
		return write_file(argv[2], argv[3]);
	if (!strcmp(cmd, "rm") && argc == 3)
		return remove(argv[2]);
	if (!strcmp(cmd, "mv") && argc == 4)
		return rename(argv[2], argv[3]);
	if (!strcmp(cmd, "link") && argc == 4)
		return link(argv[2], argv[3]);
	if (!strcmp(cmd, "chmod") && argc == 3)
		return chmod(argv[2], 0700);
	fprintf(stderr, "%s: what?\n", argv[0]);
	return 2;
}
