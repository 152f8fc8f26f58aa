package fstest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Script is a named sequence of operations.
type Script struct{ Name, Text string }

// Scripts are sequences that any file system must do as the host does. What
// is above "---" is there before: an overlay has it in its lower file system.
var Scripts = []Script{
	{"names", `
mkdir d 755
put d/f x 10
symlink d l
symlink l ll
symlink nowhere dangling
symlink loop2 loop1
symlink loop1 loop2
symlink f d/lf
symlink /d abs
symlink ../d d/up
---
stat d
stat d/
stat d/f
stat d/f/
stat d/f/x
stat d/.
stat d/..
stat d/../../../d
stat l/f
stat ll/f
stat ll/
lstat l
lstat l/
lstat ll
stat abs/f
stat d/up/up/up/f
stat dangling
lstat dangling
stat loop1
lstat loop1
stat nowhere
stat nowhere/x
stat ''
stat /
stat //
stat ///d//f
stat LONG255
stat LONG256
stat LONG5000
readlink l
readlink l/
readlink d
readlink nowhere
readlink dangling
readlink abs
mkdir d 755
mkdir d/ 755
mkdir n/ 755
mkdir n2//// 755
mkdir nowhere/x 755
mkdir d/f/x 755
mkdir dangling 755
mkdir dangling/ 755
mkdir . 755
mkdir / 755
mkdir d/.. 755
mkdir '' 755
mkdir LONG255 755
mkdir LONG256 755
mkfifo fifo 644
mkfifo fifo/ 644
mkfifo q/ 644
mknod plain 644
mknod dirnode 40755
mknod badtype 110644
mksock sock 600
mkchr chr 620
lstat chr
lstat fifo
lstat sock
symlink x l
symlink x d/new
symlink x q/
symlink '' empty
symlink LONG4095 longlink
symlink LONG4096 longlink2
link d/f d/hard
stat d/f
link d dd
link d/f d/hard
link nowhere x
link d/f q/
link l hl
lstat hl
link l hf FOLLOW
link ll/f hf2 FOLLOW
stat hf2
link loop1 hl2 FOLLOW
unlink d
unlink d/
unlink d/f/
unlink nowhere
unlink .
unlink /
unlink d/..
unlink l/
unlink l
lstat l
rmdir d
rmdir d/f
rmdir nowhere
rmdir .
rmdir d/.
rmdir d/..
rmdir /
rmdir abs
rmdir abs/
rmdir n
rmdir n2/
stat n
tree .
`},
	{"open", `
mkdir d 755
put f a 100
symlink f l
symlink made dang
symlink d ld
mkfifo p 644
---
open f RDONLY
open f CREAT|EXCL 644
open l CREAT|EXCL 644
open dang CREAT|EXCL 644
open dang RDONLY
open dang WRONLY|CREAT|NOFOLLOW 644
open dang WRONLY|CREAT 644
lstat made
open l NOFOLLOW
open l NOFOLLOW|PATH
open f DIRECTORY
open d DIRECTORY
open d WRONLY
open d RDWR
open d RDONLY|CREAT 644
open d/ RDONLY
open d/ RDONLY|CREAT 644
open ld/ RDONLY|NOFOLLOW
open n/ RDWR|CREAT 644
open . RDWR|CREAT 644
open . RDONLY
open .. RDONLY
open / RDONLY
open f/ RDONLY
open f/x RDONLY
open q/x CREAT|RDWR 644
open '' RDONLY
open d TMPFILE|RDONLY 600
open d TMPFILE|RDWR 600
open f TMPFILE|RDWR 600
open f TRUNC|RDONLY
stat f
put f b 5000
a = open f RDWR
b = open f RDONLY
c = open f WRONLY|APPEND
read a 10
read a 10000
read a 10
write a x 7
write b x 7
read c 7
write c y 9
seek c 0 CUR
pread b 100 4990
pread b 100 99999
pread b 100 -1
pwrite c z 5 0
stat f
seek a 0 SET
seek a -1 SET
seek a -1 END
seek a 10 CUR
seek a -100000 CUR
seek a 0 END
seek b 1 SET
seek b 9223372036854775807 CUR
seek b 0 DATA
seek b 99999 DATA
seek b 99999 HOLE
read b 10
ftruncate a 20
ftruncate b 20
ftruncate a -1
cat f
ftruncate a 100
cat f
truncate f 50
truncate d 0
truncate nowhere 0
truncate p 0
truncate f -1
truncate l 60
stat f
write a q 0
close a
close a
read a 1
x = open d RDONLY
read x 10
write x a 1
ls x
ls b
p1 = open p RDWR
write p1 h 5
read p1 10
read p1 0
seek p1 0 SET
pread p1 1 0
ftruncate p1 0
n = open p WRONLY|NONBLOCK
close p1
open p WRONLY|NONBLOCK
t = open d TMPFILE|RDWR 640
write t a 300
pread t 300 0
umask 77
open um CREAT|RDWR 666
stat um
mkdir umd 777
stat umd
flock b SH
f2 = open f RDONLY
flock f2 SH
flock f2 EX
flock b UN
flock f2 EX
flock b SH
close f2
flock b EX
flock b 0
tree .
`},
	{"rename", `
mkdir a 755
mkdir a/b 755
mkdir a/b/c 755
put a/f x 10
put g y 20
mkdir e 755
symlink a l
mkdir full 755
put full/x z 5
---
rename nowhere x
rename g h
rename h g
rename g g
rename a a
rename a a/b
rename a a/b/new
rename a/b/c a
rename a/b/c/ cc
rename cc/ a/b/c/
rename g/ h
rename g h/
rename g e
rename g e/
rename e g
rename e full
rename full e
stat e/x
rename l m
lstat m
rename m/ n
rename . x
rename x/.. y
rename a/.. y
rename a .
rename a ..
rename / x
rename g x/y
rename LONG256 x
rename g LONG256
rename g a/f NOREPLACE
rename g new NOREPLACE
rename new g NOREPLACE
rename g nothere EXCHANGE
rename g a/f EXCHANGE
cat g
cat a/f
rename g e EXCHANGE
stat g
stat e
tree .
rename a a/b EXCHANGE
rename a/b a EXCHANGE
rename g e EXCHANGE|NOREPLACE
link a/f a/hard
rename a/f a/hard
stat a/f
stat a/hard
d = open a/b RDONLY
rename a/b moved
ls d
stat moved
stat a
mkdir moved/new 755
chdir moved/c
cwd
rename /moved /again
cwd
stat ../../a
rmdir /again/c
cwd
stat .
stat ..
mkdir x 755
open x CREAT|RDWR 644
dd = open . RDONLY
ls dd
chdir ..
cwd
chdir /
tree .
`},
	{"data", `
put big seed 300000
put small s 10
mkdir d 755
---
cat big
f = open big RDWR
pwrite f new 5000 100000
cat big
pwrite f end 10 400000
stat big
cat big
ftruncate f 150000
cat big
ftruncate f 200000
cat big
s = open sparse RDWR|CREAT|EXCL 644
pwrite s x 10 1000000
blocks sparse
seek s 0 DATA
seek s 0 HOLE
seek s 999999 HOLE
pwrite s y 4096 40960
blocks sparse
seek s 0 DATA
seek s 40960 HOLE
seek s 45056 DATA
cat sparse
fallocate s 0 0 20000
blocks sparse
fallocate s KEEP 1100000 40000
stat sparse
fallocate s 0 1100000 40000
stat sparse
fallocate s PUNCH 0 10
fallocate s PUNCH|KEEP 39000 5000
cat sparse
fallocate s ZERO 999990 100
cat sparse
fallocate s 0 -1 10
fallocate s 0 0 0
h = open huge RDWR|CREAT 644
pwrite h m 3000000 0
pwrite h m 3000000 3000000
pwrite h m 1000000 9000000
blocks huge
cat huge
ftruncate h 5000000
fallocate h PUNCH|KEEP 100000 2000000
cat huge
blocks huge
seek h 0 HOLE
seek h 200000 DATA
fallocate h 0 5000000 100000
stat huge
ftruncate h 6000000
cat huge
unlink huge
pread h 100 2999900
blocks d
truncate small 1000000000000
stat small
blocks small
truncate small 5
cat small
z = open big RDWR|TRUNC
stat big
write z q 4097
cat big
blocks big
a = open app RDWR|CREAT|APPEND 644
write a a 10
seek a 0 SET
write a b 10
seek a 3 SET
read a 10
pwrite a c 5 0
cat app
e = open small RDONLY
unlink small
read e 10
link small back
stat small
tree .
`},
	{"attributes", `
put f x 10
mkdir d 755
symlink f l
chmod f 6755
put s x 1
chmod s 2644
---
chmod f 4711
stat f
chown f 1000 1000
stat f
chmod f 6755
chown f -1 -1
stat f
chmod s 2644
chown s 5 5
stat s
chown l 7 7 LNOFOLLOW
lstat l
stat f
chmod l 600
stat f
chmod nowhere 600
chown d 3 4
chmod d 7777
stat d
mkdir d/sub 755
stat d/sub
open d/file CREAT|RDWR 2755
stat d/file
chown d/sub 9 -1
stat d/sub
utimens f 100 5 200 7
times f
utimens f 0 1073741822 300 1
times f
utimens f 400 1 0 1073741822
times f
utimens f 1 1000000000 1 1
utimens f 1 -1 1 1
utimens l 11 1 12 1 LNOFOLLOW
times l LNOFOLLOW
times f
utimens nowhere 0 1073741822 0 1073741822
utimens -100 0 1073741822 0 1073741822
utimens f -5 1 -6 2
times f
access f 7
access d 7
access nowhere 0
access f 8
chmod f 0
access f 1
access f 6
chmod f 1
access f 1
setxattr f user.a one
setxattr f user.a two XCREATE
setxattr f user.b two XREPLACE
setxattr f user.b three XCREATE
setxattr f user.a four XREPLACE
getxattr f user.a
getxattr f user.none
getxattr nowhere user.a
listxattr f
listxattr d
rmxattr f user.a
rmxattr f user.a
listxattr f
setxattr f trusted.t v
setxattr f nospace v
setxattr f strange.x v
setxattr f user. v
setxattr f LONG256 v
setxattr f '' v
setxattr d user.d v
getxattr d user.d
listxattr f
tree .
`},
	{"permissions", `
mkdir pub 1777
chmod pub 1777
mkdir priv 700
put priv/f x 5
put pub/root x 5
mkdir own 755
chown own 1000 1000
put own/f x 5
put own/mine x 5
chown own/mine 1000 1000
mkdir grp 770
chown grp 0 2000
put r x 5
chmod r 600
put w x 5
chmod w 622
symlink ../r pub/rl
put suid x 10
chown suid 1000 1000
chmod suid 6777
mkdir sgid 2775
chown sgid 1000 2000
chmod sgid 2777
mkdir exch 755
chown exch 1000 1000
mkdir exch/d 755
mkdir pub/exd 777
---
user 1000 1000
open priv/f RDONLY
stat priv/f
stat priv
open priv RDONLY
chdir priv
mkdir priv/x 755
unlink priv/f
open r RDONLY
open w WRONLY
open w RDWR
open w RDONLY
truncate r 0
truncate w 2
open new CREAT|RDWR 644
mkdir new 755
symlink x new
link r new
link own/f own/hl
link own/mine own/hm
link r own/hr
link w own/hw
open pub/mine CREAT|RDWR 644
stat pub/mine
unlink pub/root
rename pub/root pub/r2
rename pub/mine pub/m2
rename pub/m2 pub/root
rename own/f own/g
unlink own/g
stat own/g
chmod r 777
chmod own/mine 4755
stat own/mine
chown own/mine 0 0
chown own/mine -1 0
chown own/mine 1000 1000
stat own/mine
chown own/mine -1 -1
chown r -1 -1
utimens r 1 1 1 1
touch r
touch w
touch nowhere
touch own/mine
utimens w 1 1 1 1
utimens w 0 1073741823 0 1073741823
utimens w 0 1073741822 0 1073741823
chmod own/mine 2755
stat own/mine
a = open suid RDWR
write a x 1
stat suid
open sgid/f CREAT|RDWR 2755
stat sgid/f
mkdir sgid/d 755
stat sgid/d
chmod sgid/f 2755
stat sgid/f
mkfifo own/p 644
mkchr own/c 644
rename exch/d pub/moved
rename pub/exd own/exd
rename pub/moved/ own/back
rename own/back pub/exd EXCHANGE
rmdir pub/exd
open grp RDONLY
access own/mine 6
access r 4 EACCESS
access w 2 EACCESS
access own/mine 1 EACCESS
access own/mine 6 EACCESS
open own/mine NOATIME
open w WRONLY|NOATIME
open own TMPFILE|RDWR 600
open priv TMPFILE|RDWR 600
setxattr r user.a v
setxattr own/mine user.a v
setxattr own/mine trusted.a v
setxattr own/mine security.a v
getxattr own/mine trusted.a
getxattr r user.a
setxattr pub user.a v
chmod own/mine 0
open own/mine RDONLY
user 1000 2000
open grp/f CREAT|RDWR 644
stat grp/f
user 3000 3000
chdir own
unlink mine
chdir /
user 0 0
tree .
`},
	{"directories", `
mkdir d 755
put d/a x 1
put d/b x 2
put d/c x 3
mkdir d/s 755
symlink a d/l
mkfifo d/p 600
put d/z x 3
---
d = open d RDONLY
ls d
ls d
seek d 0 SET
ls d
unlink d/b
put d/n1 x 1
put d/a more 9
seek d 0 SET
ls d
rename d/c d/cc
mkdir d/s/t 755
seek d 0 SET
ls d
unlink d/a
put d/a again 4
cat d/a
put d/b again 4
rmdir d/s
rmdir d/s/t
rmdir d/s
mkdir d/s 700
s = open d/s RDONLY
ls s
rmdir d/s
ls s
seek d 0 SET
ls d
stat d
unlink d/l
unlink d/p
unlink d/z
unlink d/a
unlink d/b
unlink d/cc
unlink d/n1
seek d 0 SET
ls d
rmdir d
stat d
ls d
seek d 0 SET
ls d
mkdir d 755
tree .
`},
	{"links", `
put f x 10
link f g
mkdir d 755
link f d/h
put alone y 7
---
stat f
stat d/h
put d/h changed 20
cat f
cat g
unlink f
stat g
chmod g 600
stat d/h
link g again
rename d/h g
stat g
rename d/h top
stat again
unlink top
unlink g
stat again
a = open again RDWR
unlink again
write a more 5
pread a 100 0
link alone d/alone
stat alone
rename alone d/alone
rename d/alone moved
stat alone
stat moved
tree .
`},
}

// Random makes n operations on few names, the same for the same seed.
func Random(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	path := func() string {
		parts := make([]string, 1+r.IntN(3))
		for i := range parts {
			parts[i] = pick("a", "b", "c", "d", "a", "b", "..", ".")
		}
		return strings.Join(parts, "/") + pick("", "", "", "", "", "", "/")
	}
	var b strings.Builder
	for i := range n {
		switch r.IntN(20) {
		case 0, 1, 2, 3:
			fmt.Fprintf(&b, "mkdir %s %s\n", path(), pick("755", "700", "1777", "2755", "0"))
		case 4, 5, 6:
			fmt.Fprintf(&b, "put %s s%d %d\n", path(), i, r.IntN(9000))
		case 7:
			fmt.Fprintf(&b, "symlink %s %s\n", path(), path())
		case 8:
			fmt.Fprintf(&b, "link %s %s %s\n", path(), path(), pick("", "FOLLOW"))
		case 9:
			fmt.Fprintf(&b, "unlink %s\n", path())
		case 10:
			fmt.Fprintf(&b, "rmdir %s\n", path())
		case 11, 12, 13:
			fmt.Fprintf(&b, "rename %s %s %s\n", path(), path(), pick("0", "0", "0", "NOREPLACE", "EXCHANGE"))
		case 14:
			fmt.Fprintf(&b, "stat %s\n", path())
		case 15:
			fmt.Fprintf(&b, "cat %s\n", path())
		case 16:
			fmt.Fprintf(&b, "truncate %s %d\n", path(), r.IntN(20000))
		case 17:
			fmt.Fprintf(&b, "chmod %s %s\n", path(), pick("755", "600", "644", "4755"))
		case 18:
			fmt.Fprintf(&b, "open %s %s 644\n", path(), pick("RDONLY", "RDWR|CREAT", "WRONLY|TRUNC", "RDWR|CREAT|EXCL", "RDONLY|NOFOLLOW", "RDONLY|DIRECTORY"))
		case 19:
			fmt.Fprintf(&b, "user %s\n", pick("0 0", "0 0", "1000 1000"))
		}
	}
	b.WriteString("user 0 0\ntree /\n")
	return b.String()
}
