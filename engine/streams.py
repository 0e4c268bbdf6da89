"""Random numbers by address: (seed, stream name, block), never by worker, order or chunk.

The generator of a stream is Philox4x64-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
1, 2, 3", SC 2011): the key is a hash of the seed and the stream's name, and the block is the top word of the
counter, so that blocks of one stream cannot overlap before 2**192 draws.
"""

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Streams:
    """The named random streams of one block of realizations.

    Streams are independent of each other, so that a new draw shifts no other one, and do not depend on the point
    of a sweep: points share their draws wherever a scenario draws the same shapes (common random numbers).

    >>> streams = Streams(seed=7, block=0)
    >>> bool(streams("user").random() == Streams(seed=7, block=0)("user").random())
    True
    >>> bool(streams("user").random() == streams("noise").random())
    False
    """

    seed: int
    block: int

    def __call__(self, name: str) -> np.random.Generator:
        """A fresh generator at the start of the stream `name`: asking twice gives the same numbers twice."""
        digest = hashlib.blake2b(f"{self.seed}/{name}".encode(), digest_size=16).digest()
        key = np.frombuffer(digest, dtype="<u8")
        counter = np.array([0, 0, 0, self.block], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))
