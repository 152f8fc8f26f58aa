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
