package suites

import "strings"

// gnuEnv is what automake gives the tests of GNU packages in the environment.
// CC and the locales that minbase does not have are not there.
var gnuEnv = []string{
	"srcdir=.", "top_srcdir=.", "abs_srcdir=/suite", "abs_top_srcdir=/suite", "abs_top_builddir=/suite", "LC_ALL=C",
	"LOCALE_FR=none", "LOCALE_FR_UTF8=none", "LOCALE_JA=none", "AWK=awk", "PERL=perl", "SHELL=/bin/sh", "MAKE=make",
	"CC=false", "CONFIG_HEADER=/suite/config.h", "host_os=linux-gnu", "host_triplet=x86_64-pc-linux-gnu",
	"EGREP=grep -E", "EXEEXT=", "fail=0", "TMPDIR=/tmp",
}

// gnuPrepare makes what configure would, of the little that tests see.
const gnuPrepare = `touch config.h
mkdir stub; touch stub/config.h stub/progname.h stub/getprogname.h stub/closeout.h
echo '#define set_program_name(name)' > stub/all.h
echo '#define program_name "test"' >> stub/all.h
echo '#define getprogname() "test"' >> stub/all.h
echo 'static void close_stdout(void) {}' >> stub/all.h
for v in VERSION PACKAGE_VERSION; do
	sed -n "s/^PACKAGE_VERSION=/$v=/p" $SRC/configure
done > env.sh
`

// gnuRun runs a test as automake does: shell scripts, and Perl ones with
// coreutils' modules, in DIR. Diagnostics go to descriptor 9.
const gnuRun = `set -a; . ./env.sh; set +a
built_programs=${built_programs-NAME}; export built_programs
f=$1; exec 9>&2
case $1 in
*.pl) exec perl -w -IDIR -MCuSkip -MCoreutils -M"CuTmpdir qw($f)" $1 ;;
*.xpl) exec perl -T -w -IDIR -MCuSkip -MCoreutils -M"CuTmpdir qw($f)" $1 ;;
*) exec sh ./$1 ;;
esac`

// gnu completes a suite of GNU's automake kind. dir is where the tests are in
// /suite; names is a shell command that prints them, run when preparing, with
// makefile syntax around them.
func gnu(s suite, dir, names string) suite {
	s.packages = textTools
	s.prepare = gnuPrepare + s.prepare + `
` + names + ` | tr -d '\\' | tr -s ' \t' '\n' | grep -vE '^(|.*=)$|^\$|_tests$' | grep -vE '^(T|TESTS)$' > names`
	s.list = "cat names"
	s.run = strings.NewReplacer("DIR", dir, "NAME", s.name).Replace(gnuRun)
	s.env = append(append([]string{}, gnuEnv...), s.env...)
	s.read = byStatus
	return s
}
