# A hundred commands: 75 programs, and 25 that a shell forks for.
i=0
while [ $i -lt 25 ]; do
	n=$(echo "$i" | sed 's/$/0/')
	mkdir -p "/tmp/script/$n"
	rm -r "/tmp/script/$n"
	i=$((i + 1))
done
echo "$n"
