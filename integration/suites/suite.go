// Package suites runs test suites that programs' own authors wrote, natively
// and converted, and compares what passes. A suite is data: which Debian
// packages are under test, where its tests come from, what runs one of them
// and how its verdicts are read. The unit of comparison is the smallest thing
// a suite gives a verdict on; each test runs in a fresh container. What passes
// natively must pass converted unless known.txt says why not; an entry there
// that passes fails the run.
//
// It runs with MEGABIN_CONFORMANCE=1 (`make conformance`) and needs root,
// mmdebstrap and Debian's archive, or their cached results. One test of one suite:
//
//	MEGABIN_CONFORMANCE=1 go test -v ./integration/suites -run 'TestSuites/git/tests/t3404'
//
// Where MEGABIN_CONVERTED names a directory, converted images are kept there and
// used again, which is right as long as the translator is the same.
package suites

import "time"

// suite is one test suite.
type suite struct {
	name     string
	packages []string // in the image, besides minbase
	source   string   // Debian source package with the tests, or empty

	// prepare is a shell script, run once, natively and as root, where
	// buildPackages are. It fills its working directory, the image's /suite,
	// from the source package in $SRC.
	prepare string
	// list is a shell script that prints the tests' names, one per line. It is
	// run natively in /suite of the image.
	list string
	// run, the shell script that runs the test $1, on both sides.
	run  string
	env  []string
	read reader
	// limit is how long a test may take; five minutes if zero.
	limit time.Duration
}

// nobody is the user whose processes the tests are: many tests of permissions
// mean nothing to root.
const nobody = 65534

// buildPackages are in the image where suites are prepared.
var buildPackages = []string{"gcc", "libc6-dev", "make", "zlib1g-dev"}

// textTools are the packages of the image that most suites share.
var textTools = []string{"busybox-static", "gawk", "make", "perl", "xz-utils"}

// suites are all there are, the quickest first.
var suites = []suite{
	{
		name: "bash", packages: textTools, source: "bash",
		prepare: `cp -r $SRC/tests/. .
			for p in recho zecho printenv xcase; do gcc -DHAVE_STRING_H -DHAVE_STDLIB_H -I$SRC/include -I$SRC -o $p $SRC/support/$p.c; done`,
		list: `ls run-* | grep -vE '^run-(all|minimal|gprof)$'`,
		run:  `sh $1 > $BASH_TSTOUT.diff 2>&1; s=$?; cat $BASH_TSTOUT.diff; exit $s`,
		env:  []string{"THIS_SH=/bin/bash", "BUILD_DIR=/suite", "TMPDIR=/tmp", "BASH_TSTOUT=/tmp/out", "PATH=.:" + path},
		read: byStatus,
	},
	{
		name: "busybox", packages: textTools, source: "busybox", limit: 20 * time.Minute,
		prepare: `cp -r $SRC/testsuite .
			cp $SRC/debian/config/pkg/static .config
			gcc -o testsuite/echo-ne $SRC/scripts/echo.c
			ln -s /bin/busybox busybox`,
		list: `cd testsuite; for t in *; do
				if [ -d $t ] || [ "$t" != "${t%.tests}" ]; then echo ${t%.tests}; fi
			done | sort -u`,
		run:  `cd testsuite; ./runtest -v $1`,
		read: byLine(`^(?<verdict>PASS|FAIL|SKIPPED|UNTESTED): (?<name>.*)$`),
	},
	{ // dash has no tests of its own; what busybox expects of its shells, dash does too, mostly
		name: "dash", packages: textTools, source: "busybox",
		prepare: `cp -r $SRC/shell/ash_test $SRC/shell/hush_test .
			for p in recho zecho printenv; do gcc -o $p ash_test/$p.c; done`,
		list: "ls -d *_test/*-[!z]* | grep -v run-all", // z_slow look at the memory that busybox takes
		run: `cd $1; for t in *.tests; do
				n=${t%.tests}; test -f $n.right || continue
				case $n in exitcode_trap6|signal5|signal_read1) continue;; esac # whichever process is first
				timeout 60 dash ./$t > /tmp/$n.out 2>&1
				if cmp -s /tmp/$n.out $n.right; then echo PASS: $n; else echo FAIL: $n; tail -n 20 /tmp/$n.out; fi
			done`,
		env:  []string{"THIS_SH=/bin/dash", "PATH=/suite:" + path},
		read: byLine(`^(?<verdict>PASS|FAIL): (?<name>.*)$`),
	},
	gnu(suite{
		name: "sed", source: "sed",
		prepare: `mkdir sed; cp -r $SRC/testsuite $SRC/init.cfg .
			for p in get-mb-cur-max test-mbrtowc; do
				gcc -Istub -include stub/all.h -o testsuite/$p testsuite/$p.c
			done`,
	}, "testsuite", `sed -n '/^T =/,/[^\\]$/p' $SRC/testsuite/local.mk`),
	gnu(suite{
		name: "grep", source: "grep",
		prepare: `cp -r $SRC/tests/. .; ln -s . tests
			gcc -Istub -include stub/all.h -o get-mb-cur-max get-mb-cur-max.c`,
		env: []string{"PCRE_WORKS=1"},
	}, ".", `sed -n '/^TESTS =/,/[^\\]$/p' $SRC/tests/Makefile.am`),
	{
		name: "gawk", packages: textTools, source: "gawk",
		prepare: `mkdir build; cd build; $SRC/configure --quiet --disable-nls --disable-mpfr --disable-extensions >/dev/null
			cp -r $SRC/test/. ../; cp test/Makefile ../; cp config.h ../
			make -C $SRC -n >/dev/null 2>&1 || true; cd ..; rm -r build
			ln -s /usr/bin/gawk gawk
			awk '/^(BASIC|UNIX|GAWK_EXT|INET|LOCALE_CHARSET)_TESTS =/, /[^\\]$/' $SRC/test/Makefile.am |
				grep -v _TESTS | tr -d '\\' | tr -s ' \t' '\n' | grep . > names`,
		list: `grep -h . names`,
		run: `make -s -o Makefile -o /src/test/Makefile.in -o /src/aclocal.m4 -o /src/configure -o ../config.status \
			AWKPROG=gawk srcdir=. $1 || exit 1
			for f in _$1*; do test ! -e "$f" || { diff -a $1.ok $f; exit 1; }; done`,
		read: byStatus,
	},
	gnu(suite{
		name: "findutils", source: "findutils",
		prepare: `cp -r $SRC/tests $SRC/init.cfg .
			echo "built_programs='find xargs'" >> env.sh`,
	}, "tests", `sed -n '/^all_tests =/,/[^\\]$/p' $SRC/tests/local.mk | grep -v root`),
	{
		name: "find-xargs", packages: []string{"dejagnu"}, source: "findutils",
		prepare: `mkdir find xargs
			cp -r $SRC/find/testsuite find; cp -r $SRC/xargs/testsuite xargs
			touch find/ftsfind.o xargs/xargs.o
			ln -s /usr/bin/find find; ln -s /usr/bin/xargs xargs`,
		list: `ls find/testsuite/find.*/*.exp xargs/testsuite/xargs.*/*.exp`,
		run:  `cd ${1%%/*}/testsuite; runtest --tool ${1%%/*} --srcdir . ${1##*/} < /dev/null; cat *.sum`,
		read: byLine(`^(?<verdict>PASS|FAIL|XFAIL|UNTESTED|UNSUPPORTED): (?<name>.*)$`),
	},
	gnu(suite{
		name: "coreutils", source: "coreutils",
		prepare: `cp -r $SRC/tests $SRC/init.cfg .
			for d in INOTIFY LINKAT OPENAT LUTIMES MNTENT_H GETMNTENT PTHREAD_T SETGROUPS UTIMENSAT; do
				echo "#define HAVE_$d 1" >> config.h
			done
			mkdir src; cp $SRC/src/*.[ch] src
			echo "built_programs='$(dpkg -L coreutils | sed -n 's,^.*bin/,,p' | grep -v '^\[' | tr '\n' ' ')'" >> env.sh`,
	}, "tests", `sed -n '/^all_tests =/,/[^\\]$/p' $SRC/tests/local.mk | grep -v root`),
	{
		name: "git", packages: []string{"git", "perl"}, source: "git", limit: 20 * time.Minute,
		prepare: `cp -r $SRC /tmp/git; cd /tmp/git
			make -s -j2 NO_OPENSSL=1 NO_CURL=1 NO_EXPAT=1 NO_GETTEXT=1 NO_TCLTK=1 NO_PYTHON=1 \
				t/helper/test-tool t/helper/test-fake-ssh GIT-BUILD-OPTIONS
			make -s -C templates SHELL_PATH=/bin/sh PERL_PATH=/usr/bin/perl
			rm t/helper/*.[cho]
			cp -r t templates contrib GIT-BUILD-OPTIONS /suite; mkdir -p /suite/perl/build/lib
			cd /suite`,
		list: `cd t; ls t[0-3]*.sh`,
		run:  `cd t; sh ./$1`,
		env:  []string{"GIT_TEST_INSTALLED=/usr/bin"},
		read: byTAP,
	},
	{
		name: "python", packages: []string{"libpython3.11-testsuite", "python3"}, limit: 20 * time.Minute,
		prepare: "touch .",
		list:    "python3 -m test --list-tests",
		run:     `python3 -m test -v -u none $1`,
		env:     []string{"PYTHONDONTWRITEBYTECODE=1", "TMPDIR=/tmp"},
		read:    byUnittest,
	},
	{
		name: "stress-ng", packages: []string{"stress-ng"}, limit: time.Minute,
		prepare: "touch .",
		list:    "echo '" + stressors + "'",
		run: `stress-ng --$1 2 --timeout 2 --verify --temp-path /tmp; s=$?
			case $s in 3|4) exit 77;; *) exit $s;; esac`,
		read: byStatus,
	},
}
