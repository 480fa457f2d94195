"""Mutations: bytes that are nearly right, made from right ones."""

from __future__ import annotations

import random

from tfckpt.errors import CheckpointError
from tfckpt.format.table import encode_table, parse_table
from tfckpt.format.varint import encode_varint

__all__ = ["mutate", "mutate_rows"]

# Numbers at which something overflows, as varints and as fixed integers.
_NUMBERS = [0, 1, 127, 128, 255, 256, 1 << 14, 1 << 31, (1 << 31) - 1, 1 << 32, (1 << 32) - 1,
            1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
_PIECES = [encode_varint(n) for n in _NUMBERS] + [
    n.to_bytes(size, "little") for n in _NUMBERS for size in (4, 8) if n < 1 << 8 * size]


def mutate(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Change bytes in one to four ways."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
        kind = rng.randrange(8)
        at = rng.randrange(len(out) + 1)
        if kind == 0 and out:
            out[at % len(out)] ^= 1 << rng.randrange(8)
        elif kind == 1 and out:
            out[at % len(out)] = rng.randrange(256)
        elif kind == 2:
            del out[at:at + rng.choice((1, 2, 4, 8, 64))]
        elif kind == 3:
            out[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8)))
        elif kind == 4:
            out[at:] = b""
        elif kind == 5:
            piece = rng.choice(_PIECES)
            out[at:at + rng.choice((0, 1, len(piece)))] = piece
        elif kind == 6:
            end = min(len(out), at + rng.randrange(64))
            out[at:at] = bytes(out[at:end]) * rng.choice((1, 2, 50))
        else:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            out[at:] = other[start:start + rng.randrange(256)]
    return bytes(out)


def mutate_rows(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Change rows of a table, and put right checksums over them."""
    rows = parse_table(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        n = rng.randrange(len(rows))
        key, value = rows[n]
        kind = rng.randrange(8)
        if kind == 0:
            rows[n] = mutate(rng, key, others), value
        elif kind == 1:
            rows[n] = key, rows[rng.randrange(len(rows))][1]
        elif kind == 2:
            rows.append((mutate(rng, key, others), value))
        else:
            rows[n] = key, mutate(rng, value, [value for _, value in rows])
    try:
        return encode_table(sorted(dict(rows).items()))
    except CheckpointError:
        return data
