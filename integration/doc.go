// Package integration holds the tests of megabin as a whole: real Debian
// programs, converted and run by the megabin binary, next to the originals run
// natively in the same root filesystem. Whatever differs is a bug unless
// known.txt says why; an entry there that passes fails the test.
//
// What it needs (Makefile, `make deps`): root, mmdebstrap or its cached result, gcc, and
// bin/megabin (or $MEGABIN). Cases are text files in testdata/cases; package
// cases has their syntax.
package integration
