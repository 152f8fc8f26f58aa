"""The solar system's outer planets: floating point and attributes."""
import math


class Body:
    def __init__(self, position, velocity, mass):
        self.x, self.y, self.z = position
        self.vx, self.vy, self.vz = velocity
        self.mass = mass


def bodies():
    return [
        Body((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 39.47),
        Body((4.84, -1.16, -0.10), (0.606, 2.811, -0.02), 0.037),
        Body((8.34, 4.12, -0.4), (-1.01, 1.82, 0.008), 0.011),
        Body((12.89, -15.11, -0.22), (1.08, 0.868, -0.01), 0.0017),
        Body((15.37, -25.9, 0.179), (0.979, 0.594, -0.034), 0.002),
    ]


def advance(system, pairs, dt):
    for a, b in pairs:
        dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
        d2 = dx * dx + dy * dy + dz * dz
        m = dt / (d2 * math.sqrt(d2))
        am, bm = a.mass * m, b.mass * m
        a.vx -= dx * bm
        a.vy -= dy * bm
        a.vz -= dz * bm
        b.vx += dx * am
        b.vy += dy * am
        b.vz += dz * am
    for a in system:
        a.x += dt * a.vx
        a.y += dt * a.vy
        a.z += dt * a.vz


def energy(system, pairs):
    e = sum(0.5 * a.mass * (a.vx ** 2 + a.vy ** 2 + a.vz ** 2) for a in system)
    for a, b in pairs:
        e -= a.mass * b.mass / math.dist((a.x, a.y, a.z), (b.x, b.y, b.z))
    return e


def main():
    system = bodies()
    pairs = [(a, b) for i, a in enumerate(system) for b in system[i + 1:]]
    print(f"{energy(system, pairs):.9f}")
    for _ in range(70000):
        advance(system, pairs, 0.001)
    print(f"{energy(system, pairs):.9f}")


main()
