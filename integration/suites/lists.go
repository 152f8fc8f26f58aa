package suites

// stressors are those of stress-ng that need no device and no privilege, and
// whose work is system calls or arithmetic.
const stressors = `access affinity aio aiol alarm atomic bad-altstack bad-ioctl bigheap branch brk bsearch cache cacheline cap chattr chdir chmod
	chown chroot clock clone close context copy-file cpu crypt cyclic daemon dekker dentry dev-shm dir dirdeep dirmany dnotify dup
	dynlib enosys env epoll eventfd exec exit-group fallocate far-branch fault fcntl fiemap fifo file-ioctl filename flock flushcache
	fork forkheavy fp fp-error fpunch fsize fstat full funccall funcret futex get getdent getrandom goto handle hash hdd heapsort
	hrtimers hsearch icache inode-flags inotify io io-uring iomix ioprio itimer judy kcmp key kill l1cache landlock lease link list
	loadavg locka lockbus lockf lockofd longjmp loop lsearch madvise malloc matrix matrix-3d mcontend membarrier memcpy memfd memrate
	memthrash mergesort mincore misaligned mknod mlock mlockmany mmap mmapaddr mmapfixed mmapfork mmaphuge mmapmany mprotect mq mremap
	msg msync msyncmany munmap mutex nanosleep netlink-proc netlink-task nice nop null numa opcode open pagemove pageswap personality
	peterson pidfd ping-sock pipe pipeherd poll prctl prefetch priv-instr procfs pthread ptrace pty qsort quota race-sched radixsort
	randlist rdrand readahead regs remap rename resched resources revio ring-pipe rlimit rmap rotate rseq rtc schedpolicy sctp seal
	seccomp secretmem seek sem sem-sysv sendfile session set shellsort shm shm-sysv sigabrt sigchld sigfd sigfpe sigio signal signest
	sigpending sigpipe sigq sigrt sigsegv sigsuspend sigtrap skiplist sleep sock sockabuse sockdiag sockfd sockmany sockpair
	sparsematrix spawn splice stack stackmmap str stream switch symlink sync-file syncload sysbadaddr syscall sysfs sysinfo sysinval
	tee timer timerfd tlb-shootdown tmpfs touch tree tsc tsearch udp udp-flood unshare urandom userfaultfd usersyscall utime vdso
	vecfp vecmath vecshuf vecwide vfork vforkmany vm vm-addr vm-rw vm-segv vm-splice wait waitcpu wcs x86syscall xattr yield zero zlib
	zombie`
