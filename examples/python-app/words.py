"""Counts the words of its input and prints the most frequent ones as JSON."""
import collections
import json
import sys

words = collections.Counter(sys.stdin.read().lower().split())
most = sorted(words.items(), key=lambda item: (-item[1], item[0]))[:3]
json.dump({"words": sum(words.values()), "most": most}, sys.stdout)
print()
