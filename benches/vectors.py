"""Random vectors that lie like those of texts do, for the benchmarks that bring their own. Not a benchmark itself.

Uniform random vectors of 384 dimensions are all about equally far apart: there is no near neighbour to be found, and
recall means nothing. Embeddings of texts lie in groups and vary along few directions. So a vector here is

    topics * g + directions[i] * h + noise

Each of 500 groups i lies at a point g of 16 topics that all groups share, and has 6 directions of its own, along which
its members h spread half as far as the groups lie apart; the noise is a fifth of that. Everything follows from the seed.
"""

import array
import base64
import operator
import random

GROUPS = 500
TOPICS = 16
SPREAD = 0.5
NOISE = 0.1
# Noise is cut from one long strip at random places: drawing each number anew would take minutes.
STRIP = 1 << 17


class Vectors:
    """An endless source; each comes as `array('f')`, on a little-endian machine the bytes that the API takes."""

    def __init__(self, dimensions, seed):
        self.random, self.dimensions = random.Random(seed), dimensions
        # The same groups for every seed: queries come from where the stored vectors come from.
        fixed = random.Random(dimensions)
        topics = [normal(fixed, dimensions, TOPICS ** -0.5) for _ in range(TOPICS)]
        self.groups = [make_group(fixed, topics, dimensions) for _ in range(GROUPS)]
        self.strip = normal(fixed, STRIP, NOISE)

    def next(self):
        draw = self.random
        at = draw.randrange(STRIP - self.dimensions)
        noise = self.strip[at:at + self.dimensions]
        # Written out, because a loop over the directions takes three times as long.
        a, b, c, d, e, f = (draw.gauss(0, 1) for _ in range(6))
        parts = zip(noise, *draw.choice(self.groups))
        return array.array("f", [n + o + a * u + b * v + c * w + d * x + e * y + f * z for n, o, u, v, w, x, y, z in parts])


def make_group(source, topics, dimensions):
    """A group's centre, then its six directions."""
    place = [source.gauss(0, 1) for _ in topics]
    centre = array.array("f", [sum(map(operator.mul, place, column)) for column in zip(*topics)])
    return [centre, *(normal(source, dimensions, SPREAD * 6 ** -0.5) for _ in range(6))]


def normal(source, count, deviation=1.0):
    return array.array("f", [source.gauss(0, deviation) for _ in range(count)])


def base64_of(vector):
    """The API's `Vector` as a string."""
    return base64.b64encode(vector.tobytes()).decode()


def literal_of(vector):
    """pgvector's text form."""
    return "[" + ",".join(map(repr, vector)) + "]"
