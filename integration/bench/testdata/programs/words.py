"""Dictionaries, strings, sorting, comprehensions and a regular expression over a text."""
import collections
import re
import sys


class Index:
    """Which lines have a word."""

    def __init__(self):
        self.lines = collections.defaultdict(list)

    def add(self, number, words):
        for w in words:
            self.lines[w].append(number)

    def both(self, a, b):
        return sorted(set(self.lines[a]) & set(self.lines[b]))


def caesar(text, n):
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return text.translate(str.maketrans(alphabet, alphabet[n:] + alphabet[:n]))


def main():
    index = Index()
    counts = {}
    letters = collections.Counter()
    shifted = 0
    pattern = re.compile(r"(\w+)(?:ed|ing)\b")
    stems = set()
    with open(sys.argv[1], encoding="ascii") as f:
        for number, line in enumerate(f):
            if number == 22000:
                break
            words = line.split()[1:-1]
            index.add(number, words)
            for w in words:
                counts[w] = counts.get(w, 0) + 1
            if number % 4 == 0:
                letters.update(line)
                stems.update(m.group(1) for m in pattern.finditer(line))
                shifted += len(caesar(line, number % 26).replace("a", "").strip())
    top = sorted(counts, key=lambda w: (-counts[w], w))[:12]
    for a, b in zip(top, top[1:]):
        print(f"{a:>10} {counts[a]:6} {len(index.both(a, b)):6}")
    print(len(counts), len(stems), shifted, "".join(c for c, _ in letters.most_common(12)).encode())


main()
