# Regular expressions, hashes, sorting and sprintf over a text.
use strict;
use warnings;

open my $in, '<', $ARGV[0] or die "$ARGV[0]: $!";
my (%count, %pairs, $numbers, $matches);
my $last = '';
while (my $line = <$in>) {
	last if $. > 20000;
	chomp $line;
	if ($line =~ /^(\d+) (.*?) ?(\d+)$/) {
		$numbers += $1 * $3 % 97;
		for my $w (split ' ', $2) {
			$count{$w}++;
			$pairs{substr($last, 0, 2) . substr($w, -2)}++ if length $last;
			$last = $w;
		}
	}
	$matches++ while $line =~ /\b(\w)\w*\1\b/g;
	(my $copy = $line) =~ tr/a-z/b-za/;
	$numbers += length($copy) if $copy =~ s/([aeiou])([^aeiou ])/$2$1/g;
}
my @top = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
printf "%d words, %d pairs, %d, %d\n", scalar @top, scalar keys %pairs, $numbers, $matches;
printf "%-10s %d\n", $_, $count{$_} for @top[0 .. 19];
