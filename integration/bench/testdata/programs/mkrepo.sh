# Makes an archive of a Git repository with $1 files and 40 commits.
set -e
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'
mkdir /tmp/repo
cd /tmp/repo
git init -q -b main .
git config gc.auto 0
perl -e '
	for my $i (0 .. $ARGV[0] - 1) {
		my $d = sprintf "dir%02d/sub%d", $i % 50, $i % 4;
		mkdir +(split "/", $d)[0];
		mkdir $d;
		open my $f, ">", "$d/file$i.c" or die;
		print $f "int f${i}_$_(int x) { return x * $i + $_; }\n" for 1 .. 20;
	}' "$1"
git add .
git commit -q -m 'Add files'
for n in $(seq 39); do
	for i in $(seq 4); do
		f=$(printf 'dir%02d/sub%d/file%d.c' $(((n + i * 100) % 50)) $(((n + i * 100) % 4)) $((n + i * 100)))
		sed -i "s/x \* [0-9]*/x - $n/" "$f"
	done
	git commit -qam "Change $n"
done
git repack -qad
tar -cf /srv/repo.tar -C /tmp repo
