"""Generators, tuples, sets and recursion: queens, and fannkuch's permutations."""


def queens(n, columns=frozenset(), rising=frozenset(), falling=frozenset(), row=0):
    if row == n:
        yield ()
        return
    for c in range(n):
        if c not in columns and row + c not in rising and row - c not in falling:
            for rest in queens(n, columns | {c}, rising | {row + c}, falling | {row - c}, row + 1):
                yield (c,) + rest


def fannkuch(n):
    permutation = list(range(n))
    count = list(range(1, n + 1))
    flips_max = checksum = sign = 0
    r = n
    while True:
        while r != 1:
            count[r - 1] = r
            r -= 1
        if permutation[0]:
            p = permutation[:]
            flips = 0
            while k := p[0]:
                p[:k + 1] = reversed(p[:k + 1])
                flips += 1
            flips_max = max(flips_max, flips)
            checksum += -flips if sign else flips
        while True:
            if r == n:
                return checksum, flips_max
            permutation.insert(r, permutation.pop(0))
            count[r] -= 1
            if count[r] > 0:
                break
            r += 1
        sign ^= 1


def main():
    solutions = list(queens(8))
    print(len(solutions), solutions[0], solutions[-1])
    print(fannkuch(9))


main()
