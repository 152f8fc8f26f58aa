package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/megabin/megabin/integration/debian"
	"github.com/megabin/megabin/integration/oracle"
)

// wholeImage has programs that people use whole, in C, C++ and Rust.
var wholeImage = debian.Spec{
	Suite: debian.Minbase.Suite,
	Include: strings.Fields("busybox-static xz-utils sqlite3 lua5.4 perl jq bc openssl zstd bzip2 tcc gcc libc6-dev ripgrep " +
		"imagemagick gnuplot-nox tesseract-ocr gawk git python3 php-cli ruby tcl strace shellcheck nodejs"),
}

// wholePrograms are shell commands and what they get on standard input, some of
// which is repeated.
var wholePrograms = []struct {
	name, command, input string
	times                int
}{
	{"sqlite3", "sqlite3 :memory:", statements(), 1},
	{"lua", `lua5.4 -e 'local t={} for i=1,20000 do t[i]=(i*7919)%1009 end table.sort(t) local s=0 for i,v in ipairs(t) do s=s+i*v end print(s,string.format("%.5f",math.sin(s)),pcall(error,"x"))'`, "", 1},
	{"perl", `perl -e 'my %h; $h{$_ % 97} .= chr(65+$_%26) for 1..20000; print join(",", map {"$_:".length($h{$_})} sort {$a<=>$b} keys %h),"\n"; eval {die {x=>1}}; print ref $@,"\n"; printf "%.10g\n", atan2(1,1)*4;'`, "", 1},
	{"jq", `jq -c '.a, (.s|ascii_upcase), ([range(.a)]|map(.*.)|add)'`, `{"a":7,"s":"text"}` + "\n", 100},
	{"bc", "bc -l", "scale=300\n4*a(1)\n2^500\nsqrt(2)\nfor(i=0;i<10;i++) i^i\n", 1},
	{"digests", `cat > /tmp/in; for d in md5 sha1 sha256 sha512 sha3-256 blake2b512 ripemd160; do openssl dgst -$d /tmp/in; done`, "some text ", 1000},
	{"ciphers", `cat > /tmp/in; for c in aes-128-cbc aes-128-ctr aes-256-ecb aes-256-ctr chacha20 camellia-128-cbc aria-256-cbc des-ede3-cbc; do echo $c
		openssl enc -$c -pbkdf2 -S 0102030405060708 -k pw -in /tmp/in | tee /tmp/out | md5sum; openssl enc -d -$c -pbkdf2 -S 0102030405060708 -k pw -in /tmp/out | cmp - /tmp/in; done
		head -c 5 /tmp/in | openssl enc -aes-128-ctr -K 00112233445566778899aabbccddeeff -iv 00112233445566778899aabbccddeeff | md5sum`, "some text ", 1000},
	{"signatures", `for t in "RSA -pkeyopt rsa_keygen_bits:1024" "EC -pkeyopt ec_paramgen_curve:P-256" ED25519; do openssl genpkey -algorithm $t -out /tmp/k 2>/dev/null; openssl pkey -in /tmp/k -pubout -out /tmp/p
		openssl pkeyutl -sign -rawin -inkey /tmp/k -in /etc/passwd -out /tmp/s && openssl pkeyutl -verify -rawin -pubin -inkey /tmp/p -in /etc/passwd -sigfile /tmp/s; done`, "", 1},
	{"compressors", `cat > /tmp/in; for c in "xz -3" "zstd -q -9" "bzip2" "gzip -9n"; do $c < /tmp/in | tee /tmp/out | md5sum; $c -d < /tmp/out | cmp - /tmp/in; done`, "some text that repeats, and 1234567890 ", 20000},
	{"shellcheck", "cat > /tmp/a.sh; shellcheck -s sh /tmp/a.sh; for f in ldd zgrep gunzip bzgrep tzselect; do shellcheck -f gcc /usr/bin/$f; done; true", "x=$1\nif [ $x = a ]; then echo `ls *` $y; fi\n", 20},
	{"tcc", "cat > /tmp/a.c; tcc -c -o /tmp/a.o /tmp/a.c && md5sum < /tmp/a.o", program, 1},
	{"gcc", "cat > /tmp/a.c; for o in -O0 -O2 '-O3 -g'; do gcc $o -S -o - /tmp/a.c | md5sum; done; gcc -O2 -o /tmp/a /tmp/a.c && nm /tmp/a | sed 's/^ *[0-9a-f]*//' | md5sum", program, 1},
	{"ripgrep", `rg -n --sort path 'root|daemon' /etc/passwd /etc/group /etc/ssl/openssl.cnf; rg -c --sort path '^[a-z]+:' /etc | head -50`, "", 1},
	{"imagemagick", "convert -size 64x64 gradient:red-blue -rotate 30 -blur 0x2 /tmp/o.ppm; md5sum < /tmp/o.ppm; convert /tmp/o.ppm -resize 20x20 txt:- | md5sum; convert rose: -colorspace gray png:- | convert - ppm:- | md5sum", "", 1},
	{"gnuplot", "gnuplot -e 'set term svg; plot sin(x)*exp(-x*x/10) t \"f\"; splot x*y'", "", 1},
	{"tesseract", `convert -size 300x60 xc:white -font DejaVu-Sans -pointsize 30 -annotate +10+40 "Hello World" ppm:/tmp/t.ppm && md5sum < /tmp/t.ppm && OMP_THREAD_LIMIT=1 tesseract /tmp/t.ppm - 2>&1`, "", 1},
	{"strace", `strace -e trace=openat,read,write,close cat /etc/passwd 2>&1 | grep -v glibc-hwcaps; strace -e inject=write:error=ENOSPC -e trace=write echo hi 2>&1
		strace -f -qq -e trace=execve,exit_group -e signal=none sh -c 'cat /etc/passwd; (exit 3); echo $?' 2>&1 | sed 's/pid *[0-9]*/pid/; s/0x.* vars/vars/'
		strace -e trace=none sh -c 'kill -USR1 $$' 2>&1 | sed 's/_pid=[0-9]*/_pid/'; strace -c -e trace=close,openat cat /etc/passwd 2>&1 | awk '{print $4, $NF}' | sort`, "", 1},
	{"gawk", `gawk 'BEGIN{for(i=0;i<20000;i++) a[i%101]+=i; n=asorti(a,b); for(i=1;i<=5;i++) print b[i],a[b[i]]; printf "%.6f %s\n", exp(1), substr("hello",2,3)}'`, "", 1},
	{"python3", "python3 -", `
import json, re, hashlib, zlib, decimal, itertools, collections, fractions, random
print(json.dumps({str(i): i**3 for i in range(50)}, sort_keys=True))
print(re.sub(r"(\w+) (\w+)", r"\2 \1", "a b c d"), decimal.Decimal(2).sqrt(), fractions.Fraction(3, 7) ** 5)
print([hashlib.new(n, b"x" * 1000).hexdigest() for n in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b")], zlib.crc32(b"y" * 999))
random.seed(7)
print(collections.Counter(random.choices("abc", k=1000)), sum(x * x for x in range(100000)), 3 ** 500 % 1000007)
`, 1},
	{"php", "php", `<?php
class P { public int $x = 1; function __get($n) { return "no $n"; } function __call($n, $a) { return $n . count($a); } }
function g() { for ($i = 0; $i < 5; $i++) $sent[] = yield $i; return $sent ?? []; }
$p = new P; echo $p->foo, $p->bar(1, 2), json_encode(["a" => 1, "b" => [1, 2.5, null]]), "\n";
$a = []; for ($i = 0; $i < 3000; $i++) $a["k" . $i % 700] = ($a["k" . $i % 700] ?? 0) + $i; ksort($a); echo md5(serialize($a)), "\n";
foreach (g() as $v) echo $v; try { intdiv(1, 0); } catch (DivisionByZeroError $e) { echo get_class($e), "\n"; } finally { echo "finally\n"; }
echo preg_replace_callback("/(\w)(\d+)/", fn($m) => $m[2] * 2 . $m[1], "a1 b22 c333"), " ", hash("sha256", "x"), " ", crc32("y"), "\n";
$q = array_map(fn($i) => $i * 7919 % 1009, range(1, 500)); usort($q, fn($x, $y) => $x <=> $y); [$m, [, $n]] = [1, [2, 3]]; echo $m, $n, array_sum($q), "\n";
$f = fopen("php://memory", "w+"); fputcsv($f, ["a b", 'c"d', 3]); rewind($f); echo fgets($f), strtr("Hello", "el", "ip"), sprintf("%05.2f|%-6s|%x", M_PI, "ab", 255), date("D, d M Y", 86400), "\n";
$pipe = proc_open("tr a-z A-Z", [["pipe", "r"], ["pipe", "w"]], $io); fwrite($io[0], "through a pipe\n"); fclose($io[0]); echo stream_get_contents($io[1]), proc_close($pipe), "\n";
class A { public $x = 3; static function c() { static $n = 0; return ++$n; } function b() { return $this; } function d() { return $this->x; } }
class D extends A { function __construct() { $this->x = A::c() + parent::c(); } }
for ($i = 0; $i < 5; $i++) { $d = new D; echo A::c(), " ", (new A)->d(), " ", $d->b()->b()->d(), " ", [new A, "d"]() . D::c(), "\n"; }
`, 1},
	{"ruby", "ruby", `require "json"; require "digest"; require "set"; require "zlib"; require "socket"
puts JSON.parse('{"a":[1,2.5,null]}'), Digest::SHA256.hexdigest("x"), Zlib::Inflate.inflate(Zlib::Deflate.deflate("a" * 1000)).size
puts (1..200).map { |i| i * i % 97 }.each_slice(7).map(&:sum).sort.inspect, (1..30).inject(:*), "h\u00e9llo".upcase, Rational(3, 7)**5
f = Fiber.new { |x| x = Fiber.yield x + 1 while x < 5; :done }
puts f.resume(1), f.resume(3), f.resume(9), Thread.new { Thread.current[:a] = 7; catch(:out) { 10.times { |i| throw :out, i if i == 6 } } }.value
begin; def deep(n) = deep(n + 1); deep(0); rescue SystemStackError => e; puts e.class; end
s = TCPServer.new("127.0.0.1", 0); t = Thread.new { c = s.accept; c.puts "served"; c.close }; puts TCPSocket.new("127.0.0.1", s.addr[1]).read; t.join
Point = Struct.new(:x, :y) { def method_missing(n, *a) = "#{n}#{a.size}"; def respond_to_missing?(*) = true }
puts Point.new(1, 2).foo(3), Point.new(1, 2) == Point.new(1, 2), %w[b a].to_set.include?("a"), "a1b22".gsub(/\d+/) { |m| m.to_i * 2 }, [3, 1, 2].lazy.map { _1 * 2 }.select(&:positive?).first(2).inspect
r, w = IO.pipe; pid = fork { r.close; w.puts "from the child"; exit! 3 }; w.close; puts r.read; Process.wait pid; puts $?.exitstatus, ` + "`echo shell`" + `
GC.start; trap("USR1") { puts "signal" }; Process.kill("USR1", $$); sleep 0.1; puts ObjectSpace.each_object(Class).count > 100
`, 1},
	{"node", "node --jitless - 2>/dev/null", `const fs = require('fs'), path = require('path'), crypto = require('crypto'), zlib = require('zlib'), http = require('http'), cp = require('child_process'), { Worker } = require('worker_threads')
class A { #x; constructor(x) { this.#x = x } get y() { return this.#x * 2 } }; const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2); function* g() { yield 1; yield* [2, 3] }
console.log(fib(20), new A(21).y, [...g()], 10n ** 30n, new Map([['a', { b: [1, , 3] }]]), [3, 1, 2].sort(), Symbol('s').toString(), (0.1 + 0.2).toFixed(3), Math.sin(1), new Date(0))
console.log(crypto.createHash('sha256').update('abc').digest('hex'), zlib.gunzipSync(zlib.gzipSync('x'.repeat(1000))).length, JSON.stringify({ a: [1, { b: 'x\u00e9' }] }), 'abc-def'.replace(/(?<l>\w+)-(\w+)/, '$2 $<l>'))
console.log(new Intl.NumberFormat('de').format(1234567.8), [1, 2, 3].map(x => x ** 2).reduce((a, b) => a + b), new Uint32Array([1, -1]), path.resolve('/a/b', '../c'), new Proxy({}, { get: (o, k) => k }).foo)
try { null.f() } catch (e) { console.log(e.message) }; try { (function f() { f() })() } catch (e) { console.log(e.constructor.name) }; let o = []; for (let i = 0; i < 2e5; i++) o.push({ i, s: 'k' + i }); console.log(o.filter(x => x.i % 1000 == 0).length)
new Worker('require("worker_threads").parentPort.postMessage(7 * 6)', { eval: true }).on('message', x => { console.log('worker', x, cp.execFileSync('echo', ['from a child']).toString())
const s = http.createServer((q, r) => r.end('hello ' + q.url)).listen(0, '127.0.0.1', () => http.get({ host: '127.0.0.1', port: s.address().port, path: '/x' }, r => r.on('data', async d => { console.log(d.toString(), await Promise.all([1, 2].map(async x => { await new Promise(r => setTimeout(r, 10)); return x * 2 }))); s.close() }))) })
`, 1},
	{"tcl", "tclsh", `puts [expr {2**100}]; proc f n {expr {$n < 2 ? $n : [f [expr {$n-1}]] + [f [expr {$n-2}]]}}; puts [f 15]
puts [regexp -all -inline {(\d+)-(\d+)} "a 12-34 5-6"]; puts [clock format 0 -gmt 1]; puts [exec echo hi]; puts [lsort -unique {c a b a}]
set s [socket -server {apply {{c a p} {puts $c hello; close $c; set ::d 1}}} 0]; set c [socket localhost [lindex [fconfigure $s -sockname] 2]]; vwait d; puts [gets $c]
coroutine co apply {{} {yield; yield 1; return 2}}; puts [co][co]; puts [catch {error x} m]$m; puts [dict get {a 1 b 2} b]; puts [binary encode hex [encoding convertto utf-8 \u00e9]]
`, 1},
	{"git", `cd /tmp && rm -rf g && git init -q g && cd g && git config user.email a@b && git config user.name n && for i in 1 2 3 4 5; do echo $i > f$i; git add .; GIT_AUTHOR_DATE="2020-01-01T00:00:0$i" GIT_COMMITTER_DATE="2020-01-01T00:00:0$i" git commit -qm "c $i"; done
		git log --stat; git checkout -q -b x HEAD~2; echo y > f1; git commit -qam y; git merge -q -m m master; git gc -q; git fsck 2>&1; ls; git diff HEAD~1 | cat`, "", 1},
}

const program = `#include <stdio.h>
#include <string.h>
static double g(double x) { return x * x + 1; }
int f(int n) { return n < 2 ? n : f(n - 1) + f(n - 2); }
int main(void) { char b[100]; memset(b, f(5), 99); b[99] = 0; printf("%d %f %s\n", f(20), g(2.5), b); return 0; }
`

// statements is SQL for a few thousand rows.
func statements() string {
	return `create table t(a integer primary key, b text, c real);
with recursive n(i) as (select 1 union all select i+1 from n where i < 5000) insert into t select i, 'row ' || (i*7%101), i/3.0 from n;
select count(*), sum(c), max(b) from t; select b, count(*) from t group by b order by 2 desc, 1 limit 5;
update t set c = c*2 where a%3 = 0; select printf('%.3f', avg(c)) from t; create index x on t(b); explain query plan select * from t where b = 'row 5';
select group_concat(a) from (select a from t where b like '%3%' limit 20); delete from t where a%2; select count(*), total(c) from t; vacuum; pragma integrity_check;
`
}

// TestWholePrograms runs large programs natively and converted. Making and converting
// their image takes minutes, so it is part of make conformance.
func TestWholePrograms(t *testing.T) {
	if os.Getenv("MEGABIN_CONFORMANCE") == "" {
		t.Skip("set MEGABIN_CONFORMANCE: the image takes minutes")
	}
	img, err := debianImage(t.Context(), wholeImage)
	if err != nil {
		t.Fatal(err)
	}
	target := os.Getenv("MEGABIN_WHOLE") // converted before
	if target == "" {
		target = "oci:" + filepath.Join(t.TempDir(), "whole")
		if err := convert(img.Ref(), target); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range wholePrograms {
		t.Run(p.name, func(t *testing.T) {
			native, err := oracle.Command(t.Context(), oracle.Spec{Rootfs: img.Rootfs, Dir: "/", Env: baseEnv, Args: []string{"sh", "-c", p.command}, Container: true})
			if err != nil {
				t.Fatal(err)
			}
			converted := exec.Command(megabin(), "run", "-i", "-e", "TZ=UTC0", target, "sh", "-c", p.command)
			for _, cmd := range []*exec.Cmd{native, converted} {
				cmd.Stdin = strings.NewReader(strings.Repeat(p.input, p.times))
			}
			want, got := capture(t, native), capture(t, converted)
			if want.status != 0 || len(want.stdout) == 0 {
				t.Errorf("natively: status %d, %s%s", want.status, want.stdout, want.stderr)
			}
			for _, d := range crashDiffs(want, got) {
				t.Error(d)
			}
		})
	}
}
