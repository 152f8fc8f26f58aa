#include "case.h"
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

/* Only lo is looked at: a host has other interfaces. */
CASE(interfaces_ioctl) {
	int s = socket(AF_INET, SOCK_DGRAM, 0), found = 0;
	struct ifreq r = {.ifr_name = "lo"};
	T(ioctl(s, SIOCGIFINDEX, &r));
	printf("%d\n", r.ifr_ifindex);
	T(ioctl(s, SIOCGIFFLAGS, &r));
	printf("%x\n", r.ifr_flags & (IFF_UP | IFF_LOOPBACK | IFF_RUNNING));
	T(ioctl(s, SIOCGIFADDR, &r));
	puts(inet_ntoa(((struct sockaddr_in *)&r.ifr_addr)->sin_addr));
	T(ioctl(s, SIOCGIFNETMASK, &r));
	puts(inet_ntoa(((struct sockaddr_in *)&r.ifr_addr)->sin_addr));
	T(ioctl(s, SIOCGIFMTU, &r));
	printf("%d\n", r.ifr_mtu);
	T(ioctl(s, SIOCGIFHWADDR, &r));
	printf("%d\n", r.ifr_hwaddr.sa_family);
	r = (struct ifreq){.ifr_ifindex = 1};
	T(ioctl(s, SIOCGIFNAME, &r));
	puts(r.ifr_name);
	r = (struct ifreq){.ifr_name = "nope0"};
	T(ioctl(s, SIOCGIFINDEX, &r));
	struct ifreq list[16];
	struct ifconf c = {.ifc_len = sizeof list, .ifc_req = list};
	T(ioctl(s, SIOCGIFCONF, &c));
	T(c.ifc_len % sizeof *list);
	for (size_t i = 0; i < c.ifc_len / sizeof *list; i++)
		found += strcmp(list[i].ifr_name, "lo") == 0;
	T(found);
	T(if_nametoindex("lo"));
}

CASE(interfaces_netlink) {
	struct ifaddrs *list;
	T(getifaddrs(&list));
	for (; list; list = list->ifa_next) {
		char text[64];
		if (strcmp(list->ifa_name, "lo") != 0 || !list->ifa_addr)
			continue;
		int f = list->ifa_addr->sa_family;
		printf("%d %x", f, list->ifa_flags & (IFF_UP | IFF_LOOPBACK));
		if (f == AF_INET)
			printf(" %s", inet_ntop(f, &((struct sockaddr_in *)list->ifa_addr)->sin_addr, text, sizeof text));
		if (f == AF_INET)
			printf(" %s", inet_ntop(f, &((struct sockaddr_in *)list->ifa_netmask)->sin_addr, text, sizeof text));
		if (f == AF_INET6)
			printf(" %s", inet_ntop(f, &((struct sockaddr_in6 *)list->ifa_addr)->sin6_addr, text, sizeof text));
		printf("\n");
	}
}

CASE(netlink_socket) {
	int s = F(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	struct sockaddr_nl a = {.nl_family = AF_NETLINK}, b;
	socklen_t n = sizeof b;
	T(bind(s, SA(a)));
	T(getsockname(s, (struct sockaddr *)&b, &n));
	printf("%d %d\n", n, b.nl_pid == getpid());
	struct { struct nlmsghdr h; struct rtgenmsg g; } req = {{sizeof req, RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 42, 0}, {AF_INET}};
	T(sendto(s, &req, sizeof req, 0, SA(a)));
	char buf[8192];
	n = sizeof b;
	T(recvfrom(s, buf, sizeof buf, 0, (struct sockaddr *)&b, &n) > 0);
	struct nlmsghdr *h = (void *)buf;
	printf("%d %d %d %d %d\n", n, b.nl_pid, h->nlmsg_type, h->nlmsg_seq, h->nlmsg_pid == getpid());
}

CASE(ioctl_others) {
	int s = socket(AF_UNIX, SOCK_STREAM, 0), n = 5;
	T(ioctl(s, FIONREAD, &n));
	printf("%d\n", n);
	T(ioctl(s, TIOCGWINSZ, &n));
	int on = 1;
	T(ioctl(s, FIONBIO, &on));
	T(fcntl(s, F_GETFL) & O_NONBLOCK);
	T(isatty(s));
}

/* lines prints those of a file of /proc/net that are about this inode, without
 * what differs from run to run. */
static void lines(const char *file, int fd) {
	char line[512], inode[32];
	struct stat st;
	fstat(fd, &st);
	snprintf(inode, sizeof inode, "%lu", (unsigned long)st.st_ino);
	FILE *f = fopen(file, "r");
	if (!f)
		die(file);
	while (fgets(line, sizeof line, f)) {
		char *word[32];
		int n = 0, column = strstr(file, "unix") ? 6 : 9;
		for (char *w = strtok(line, " \n"); w && n < 32; w = strtok(NULL, " \n"))
			word[n++] = w;
		if (n <= column || strcmp(word[column], inode) != 0)
			continue;
		if (strstr(file, "unix"))
			printf("%s %s %s %s\n", word[3], word[4], word[5], n > 7 ? word[7] : "");
		else
			printf("%.8s %.8s %s %s\n", word[1], word[2], word[3], word[4]);
	}
	fclose(f);
}

CASE(proc_net) {
	int port, s[2], l = listener(AF_INET, &port), six = listener(AF_INET6, &port), u = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in a = in4(0);
	bind(u, SA(a));
	tcp_pair(s);
	lines("/proc/net/tcp", l);
	lines("/proc/net/tcp6", six);
	lines("/proc/self/net/udp", u);
	write(s[0], "waiting", 7);
	struct pollfd p = {s[1], POLLIN, 0};
	poll(&p, 1, 1000);
	lines("/proc/net/tcp", s[0]);
	lines("/proc/net/tcp", s[1]);
	int x[2], y = socket(AF_UNIX, SOCK_STREAM, 0);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, x);
	struct sockaddr_un n = un("named.sock");
	bind(y, SA(n));
	listen(y, 1);
	lines("/proc/net/unix", y);
	socketpair(AF_UNIX, SOCK_STREAM, 0, x);
	lines("/proc/net/unix", x[0]);
	n = un("");
	strcpy(n.sun_path + 1, "megabin-proc");
	int z = socket(AF_UNIX, SOCK_DGRAM, 0);
	bind(z, (struct sockaddr *)&n, 2 + 13);
	lines("/proc/net/unix", z);
	char name[64] = "", link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", l);
	T(readlink(link, name, sizeof name) > 8 && strncmp(name, "socket:[", 8) == 0);
}

/* ask sends a request of NETLINK_ROUTE with an attribute, if its length is not 0, and
 * prints the answers: types, flags, what is before the attributes, and those named. */
static void ask(int type, int flags, const void *head, size_t size, int attr, const void *value, size_t length, const char *shown) {
	static char out[65536];
	struct { struct nlmsghdr h; char data[256]; } q = {{NLMSG_LENGTH(size), type, NLM_F_REQUEST | flags, 7}};
	memcpy(q.data, head, size);
	if (length) {
		struct rtattr *a = (struct rtattr *)(q.data + NLMSG_ALIGN(size));
		a->rta_type = attr;
		a->rta_len = RTA_LENGTH(length);
		memcpy(RTA_DATA(a), value, length);
		q.h.nlmsg_len = NLMSG_ALIGN(q.h.nlmsg_len) + RTA_ALIGN(a->rta_len);
	}
	int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	send(s, &q, q.h.nlmsg_len, 0);
	for (;;) {
		ssize_t n = recv(s, out, sizeof out, MSG_DONTWAIT);
		if (n <= 0)
			break;
		for (struct nlmsghdr *h = (void *)out; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			printf("type %d, flags %x, number %d", h->nlmsg_type, h->nlmsg_flags & ~NLM_F_DUMP_FILTERED, h->nlmsg_seq);
			if (h->nlmsg_type == NLMSG_ERROR)
				printf(", %s\n", strerror(-((struct nlmsgerr *)NLMSG_DATA(h))->error));
			if (h->nlmsg_type < NLMSG_MIN_TYPE) {
				puts("");
				continue;
			}
			show_bytes("", NLMSG_DATA(h), size);
			for (const char *want = shown; *want; want++) {
				struct rtattr *a = (void *)((char *)NLMSG_DATA(h) + NLMSG_ALIGN(size));
				int left = NLMSG_PAYLOAD(h, NLMSG_ALIGN(size));
				for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
					if (a->rta_type == *want) {
						printf("attribute %d", a->rta_type);
						show_bytes("", RTA_DATA(a), RTA_PAYLOAD(a));
					}
			}
		}
	}
	close(s);
}

CASE(netlink_link) {
	struct ifinfomsg i = {.ifi_index = 1}, none = {0};
	const char shown[] = {IFLA_IFNAME, IFLA_TXQLEN, IFLA_LINKMODE, IFLA_MTU, IFLA_GROUP, IFLA_CARRIER, IFLA_QDISC, IFLA_ADDRESS, IFLA_BROADCAST, 0};
	ask(RTM_GETLINK, 0, &i, sizeof i, 0, NULL, 0, shown);
	ask(RTM_GETLINK, NLM_F_ACK, &i, sizeof i, 0, NULL, 0, shown);
	ask(RTM_GETLINK, 0, &none, sizeof none, IFLA_IFNAME, "lo", 3, shown);
	ask(RTM_GETLINK, NLM_F_ACK, &none, sizeof none, IFLA_IFNAME, "nope0", 6, shown);
	ask(RTM_GETLINK, 0, &none, sizeof none, 0, NULL, 0, shown);
	i.ifi_index = 12345;
	ask(RTM_GETLINK, 0, &i, sizeof i, 0, NULL, 0, shown);
}

CASE(netlink_route) {
	const char shown[] = {RTA_TABLE, RTA_DST, RTA_OIF, RTA_PREFSRC, 0};
	struct rtmsg r = {.rtm_family = AF_INET, .rtm_dst_len = 32};
	ask(RTM_GETROUTE, 0, &r, sizeof r, RTA_DST, "\x7f\0\0\1", 4, shown);
	ask(RTM_GETROUTE, NLM_F_ACK, &r, sizeof r, RTA_DST, "\x7f\1\2\3", 4, shown);
	r.rtm_flags = RTM_F_LOOKUP_TABLE;
	ask(RTM_GETROUTE, 0, &r, sizeof r, RTA_DST, "\x7f\0\0\1", 4, shown);
}

CASE(netlink_rules) {
	const char shown[] = {6, 14, 15, 0}; /* FRA_PRIORITY, FRA_SUPPRESS_PREFIXLEN, FRA_TABLE */
	char rule[12] = {AF_INET};
	ask(RTM_GETRULE, NLM_F_DUMP, rule, sizeof rule, 0, NULL, 0, shown);
	rule[0] = AF_INET6;
	ask(RTM_GETRULE, NLM_F_DUMP, rule, sizeof rule, 0, NULL, 0, shown);
	ask(NLMSG_NOOP, NLM_F_ACK, rule, sizeof rule, 0, NULL, 0, shown);
}
