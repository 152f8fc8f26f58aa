#!/bin/sh
# demo.sh MEGABIN DIR: makes a Debian image, converts it, runs programs of it.
# The converted image is kept in DIR.
set -eu
megabin=$1 dir=$2
mkdir -p "$dir"

show() {
	printf '\n$ %s\n' "$*"
	"$@"
}

# expect STATUS COMMAND…: shows a command that has to end with STATUS.
expect() {
	want=$1
	shift
	status=0
	show "$@" || status=$?
	echo "(exit status $status)"
	[ "$status" = "$want" ] || { echo "expected $want" >&2; exit 1; }
}

echo 'A Debian 12 minbase image out of Debian packages:'
source=$(go run ./integration/cmd/mkimage)
echo "$source"
image=oci:$dir/debian
show "$megabin" convert "$source" "$image"

show "$megabin" run "$image" ls -l /
show "$megabin" run "$image" cat /etc/os-release
show "$megabin" run "$image" echo 'hello from WebAssembly'

printf '\nA program of which a few bytes were changed has another hash, so it is refused:\n'
rootfs=$(echo "${source#oci:}" | sed 's,/oci:latest$,/rootfs,')
cp "$rootfs/bin/echo" "$dir/tampered"
printf tampered | dd of="$dir/tampered" bs=1 seek=9000 conv=notrunc status=none
chmod +x "$dir/tampered"
expect 126 "$megabin" run -v "$(realpath "$dir")/tampered:/tampered:ro" "$image" /tampered hello

printf '\nThe original, from outside the image, is known by its hash and runs:\n'
show "$megabin" run -v "$rootfs/bin/echo:/original:ro" "$image" /original hello
