/* Files of /proc/net on a container's own network. */
#include "case.h"
#include <ctype.h>
#include <netinet/ip_icmp.h>

/* show_file prints a file, and with inode 1 each line only up to the column of the inode. */
static void show_file(const char *name, int inode) {
	char path[64], line[512];
	snprintf(path, sizeof path, "/proc/net/%s", name);
	FILE *f = fopen(path, "r");
	printf("%s:%s\n", name, f ? "" : " none");
	for (int i = 0; f && fgets(line, sizeof line, f); i++) {
		if (inode && i > 0) {
			int fields = 0;
			char *p = line;
			while (*p && fields < 9) {
				while (*p == ' ') p++;
				while (*p && *p != ' ') p++;
				fields++;
			}
			size_t length = strlen(line);
			*p = 0;
			/* Linux numbers lines by its hash table. */
			printf("%s... %d\n", strchr(line, ':'), (int)length >= 90);
			continue;
		}
		fputs(line, stdout);
	}
	if (f)
		fclose(f);
}

CASE(procnet_files) {
	container();
	static const char *names[] = {"arp", "igmp", "packet", "raw", "raw6", "snmp", "sockstat6", "if_inet6"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		show_file(names[i], 0);
}

CASE(procnet_sockets) {
	container();
	struct sockaddr_in a = in4(1234);
	struct sockaddr_in6 b = in6(1234);
	int u = socket(AF_INET, SOCK_DGRAM, 0), u6 = socket(AF_INET6, SOCK_DGRAM, 0), lite = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
	int icmp = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), icmp6 = socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6), t = socket(AF_INET, SOCK_STREAM, 0), t6 = socket(AF_INET6, SOCK_STREAM, 0);
	T(bind(u, SA(a)));
	T(bind(u6, SA(b)));
	T(bind(lite, SA(a)));
	T(bind(icmp, SA(a)));
	T(bind(icmp6, SA(b)));
	T(bind(t, SA(a)));
	T(bind(t6, SA(b)));
	T(listen(t, 1));
	T(listen(t6, 1));
	T(connect(u, SA(a)));
	static const char *names[] = {"udp", "udp6", "udplite", "udplite6", "icmp", "tcp", "tcp6"}; /* Linux has sockets of IPv4 in icmp6 */
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		show_file(names[i], 1);
	show_file("sockstat6", 0);
}
