package suites

// pythonModules are those of CPython's own tests that are run.
const pythonModules = `test_threading test_thread test_subprocess test_multiprocessing_fork test_multiprocessing_spawn
	test_asyncio test_socket test_select test_selectors test_signal test_os test_posix test_mmap test_fcntl test_pty test_ssl test_sqlite3
	test_ctypes test_decimal test_json test_re test_zlib test_time test_tempfile test_shutil test_io test_fileio
	test_pathlib test_glob test_queue test_concurrent_futures test_poll test_epoll test_popen test_wait3 test_wait4
	test_fork1 test_resource test_math test_float test_struct test_array test_bz2 test_lzma test_gzip test_hashlib test_pickle
	test_socketserver test_faulthandler test_posixpath test_stat test_statistics test_random test_sched test_logging test_tarfile test_zipfile`

// stressors are those of stress-ng that need no device and no privilege, and
// whose work is system calls or arithmetic.
const stressors = `access affinity aio alarm bigheap brk bsearch cap chdir chmod clock clone close context copy-file cpu crypt daemon
	dentry dir dirdeep dnotify dup dynlib enosys env epoll eventfd exec fallocate fault fcntl fiemap fifo file-ioctl filename flock fork
	fp-error fpunch fstat full futex get getdent getrandom handle hdd hrtimers hsearch icache inode-flags inotify io iomix ioprio
	itimer kcmp kill lease link locka lockbus lockf lockofd longjmp loop madvise malloc matrix membarrier memcpy memfd memrate memthrash
	mergesort mincore mknod mlock mmap mmapaddr mmapfixed mmapfork mmaphuge mmapmany mprotect mq mremap msg msync munmap mutex nanosleep
	nice nop null opcode open personality pidfd pipe pipeherd poll prctl pread procfs pthread ptrace pty qsort quota radixsort
	rename resources revio rlimit rseq rtc schedpolicy seal seccomp seek sem sem-sysv sendfile session set shellsort shm
	shm-sysv sigabrt sigchld sigfd sigfpe sigio signal signest sigpending sigpipe sigq sigrt sigsegv sigsuspend sigtrap skiplist
	sleep sock sockabuse sockdiag sockfd sockmany sockpair splice stack stackmmap str stream switch symlink sync-file
	syncload sysbadaddr sysinfo sysinval tee timer timerfd tlb-shootdown tmpfs tree tsc tsearch udp udp-flood unshare
	urandom utime vdso vecmath vfork vforkmany vm vm-rw vm-segv vm-splice wait wcs xattr yield zero zlib zombie`
