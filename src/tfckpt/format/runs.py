"""All rows of a table at once: the runs between restart points, side by side in numpy.

A run begins with a whole key, so runs don't depend on one another: the first row of every run
is decoded in one step, then the second of each, and so on, 16 steps for however many rows.

What is unusual (damage, keys out of order, a key that ends in a zero byte or is very long) is
left to the plain parser in `block`, which also knows how to say what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bytes = NDArray[np.uint8]

__all__ = ["Columns", "Numbers", "Spans", "parse_heads", "parse_numbers", "parse_runs"]

_LONGEST_KEY = 1024
_MOST_KEY_BYTES = 1 << 27  # of all keys, each padded to the longest
_BEHIND = bytes(64)  # so that numbers can be looked for at any place
_MOST_STEPS = 256


class Spans(Sequence[bytes]):
    """Byte strings that stay in the buffer they are part of until they are asked for.

    Args:
        buffer: It.
        starts: First byte of each.
        ends: The byte after the last of each.
    """

    def __init__(self, buffer: bytes, starts: Ints, ends: Ints) -> None:
        self.buffer = buffer
        self.starts = starts
        self.ends = ends

    @cached_property
    def _bounds(self) -> list[tuple[int, int]]:
        return list(zip(self.starts.tolist(), self.ends.tolist(), strict=True))

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, n: Any) -> Any:
        if isinstance(n, slice):
            return [self.buffer[start:end] for start, end in self._bounds[n]]
        start, end = self._bounds[n]
        return self.buffer[start:end]


class Columns(NamedTuple):
    """The rows of a table.

    Attributes:
        keys: Ascending.
        values: As many.
    """

    keys: list[bytes]
    values: Spans


def parse_runs(blocks: Sequence[bytes]) -> Columns | None:
    """Parse the blocks of a table, or decline.

    Args:
        blocks: Contents of each data block, checked and uncompressed.

    Returns:
        All rows, ascending by key; None if anything about them is unusual.

    Example:
        >>> block = b"\\0\\1\\1aX" + b"\\1\\1\\1bY" + b"\\0\\0\\0\\0\\1\\0\\0\\0"
        >>> columns = parse_runs([block])
        >>> columns.keys, columns.values[1]
        ([b'a', b'ab'], b'Y')
    """
    import numpy as np  # deferred: small tables are parsed without it

    runs = _find_runs(blocks)
    if runs is None:
        return None
    buffer = b"".join([*blocks, _BEHIND])
    data = np.frombuffer(buffer, np.uint8)
    steps = _decode(data, *runs)
    if steps is None:
        return None
    return _collect(buffer, data, steps, len(runs[0]))


def _find_runs(blocks: Sequence[bytes]) -> tuple[Ints, Ints] | None:
    """Where each run begins and ends in the blocks joined."""
    import numpy as np

    starts, ends, base = [], [], 0
    for block in blocks:
        count = int.from_bytes(block[-4:], "little")
        rows_end = len(block) - 4 - 4 * count
        if not count or rows_end <= 0:
            return None
        restarts = np.frombuffer(block, "<u4", count, rows_end).astype(np.int64)
        following = np.append(restarts[1:], rows_end)
        if restarts[0] or not (following > restarts).all() or following[-1] != rows_end:
            return None
        starts.append(restarts + base)
        ends.append(following + base)
        base += len(block)
    return (np.concatenate(starts), np.concatenate(ends)) if starts else None


class _Step(NamedTuple):
    """The rows that stand at one place in their runs.

    Attributes:
        run: Numbers of the runs that are this long.
        shared: How many bytes of the previous key each key repeats.
        non_shared: How many follow.
        suffix: Where those are.
        end: Where the row, and so its value, ends.
    """

    run: Ints
    shared: Ints
    non_shared: Ints
    suffix: Ints
    end: Ints


def _decode(data: Bytes, starts: Ints, ends: Ints) -> list[_Step] | None:
    """The rows of all runs, one step for each place in a run."""
    import numpy as np

    steps: list[_Step] = []
    run, at, end = np.arange(len(starts)), starts, ends
    while len(run):
        shared, where = _varints(data, at)
        non_shared, where = _varints(data, where)
        value_len, where = _varints(data, where)
        row_end = where + non_shared + value_len
        if len(steps) == _MOST_STEPS or (row_end > end).any() \
                or (np.minimum(np.minimum(shared, non_shared), value_len) < 0).any():
            return None
        steps.append(_Step(run, shared, non_shared, where, row_end))
        more = row_end < end
        run, at, end = run[more], row_end[more], end[more]
    return steps


def _varints(data: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """The varint at each place, and where it ends; instead of one that is unusually long, -1."""
    import numpy as np

    byte = data[at]
    value = (byte & 0x7F).astype(np.int64)
    at = at + 1
    going = np.flatnonzero(byte > 0x7F)
    for shift in (7, 14, 21):
        if not len(going):
            break
        byte = data[at[going]]
        value[going] |= (byte & 0x7F).astype(np.int64) << shift
        at[going] += 1
        going = going[byte > 0x7F]
    value[going] = -1
    return value, at


def _collect(buffer: bytes, data: Bytes, steps: list[_Step], n_runs: int) -> Columns | None:
    """Put keys and places of values in the order of the rows."""
    import numpy as np

    counts = np.zeros(n_runs, np.int64)
    for step in steps:
        counts[step.run] += 1
    first_row = np.cumsum(counts) - counts
    n_rows = int(counts.sum())
    lengths = np.empty(n_rows, np.int64)
    starts, ends = np.empty_like(lengths), np.empty_like(lengths)
    for n, step in enumerate(steps):
        rows = first_row[step.run] + n
        lengths[rows] = step.shared + step.non_shared
        starts[rows] = step.suffix + step.non_shared
        ends[rows] = step.end
    width = int(lengths.max())
    most = min(_MOST_KEY_BYTES, (16 << 20) + 32 * len(buffer))
    if not 0 < width <= _LONGEST_KEY or n_rows * width > most:
        return None
    keys = _unfold(data, steps, first_row, lengths, width)
    if keys is None:
        return None
    # numpy's strings end at their last byte that isn't zero; a key that ends in one is unusual.
    last = keys[np.arange(1, n_rows), lengths[1:] - 1]
    if not last.all() or (lengths[0] and not keys[0, lengths[0] - 1]):
        return None
    return Columns(keys.view(f"S{width}").reshape(-1).tolist(), Spans(buffer, starts, ends))


def _unfold(data: Bytes, steps: list[_Step], first_row: Ints, lengths: Ints, width: int
            ) -> Bytes | None:
    """The whole keys, a row of bytes each, padded with zeros; None if they don't ascend."""
    import numpy as np

    keys = np.zeros((len(lengths), width), np.uint8)
    current = np.zeros((len(first_row), width), np.uint8)
    length = np.zeros(len(first_row), np.int64)
    for n, (run, shared, non_shared, suffix, _) in enumerate(steps):
        before = length[run]
        if n:
            # Where both differ, the later key must have the larger byte, or be the longer one.
            larger = data[suffix] > current[run, np.minimum(shared, width - 1)]
            if (shared > before).any() or not non_shared.all() \
                    or not (larger | (shared == before)).all():
                return None
        elif shared.any() or not non_shared[1:].all():
            return None
        _scatter(current, run, shared, non_shared, data, suffix)
        length[run] = after = shared + non_shared
        cut = before > after
        _scatter(current, run[cut], after[cut], (before - after)[cut])
        keys[first_row[run] + n] = current[run]
    # Between runs: the first key of each after the last of the one before.
    first, last = keys[first_row[1:]], keys[first_row[1:] - 1]
    differ = (first != last).argmax(axis=1)
    n_runs = np.arange(len(first))
    if not (first[n_runs, differ] > last[n_runs, differ]).all():
        return None
    return keys


def _scatter(target: Bytes, rows: Ints, columns: Ints, lengths: Ints, data: Bytes | None = None,
             at: Ints | None = None) -> None:
    """Copy a run of bytes into each row, from this column on; zeros if there is no data."""
    import numpy as np

    total = int(lengths.sum())
    begins = np.cumsum(lengths) - lengths
    within = np.arange(total) - np.repeat(begins, lengths)
    to = np.repeat(rows * target.shape[1] + columns, lengths) + within
    flat = target.reshape(-1)
    flat[to] = 0 if data is None or at is None else data[np.repeat(at, lengths) + within]


def parse_heads(values: Spans) -> list[bytes]:
    """Dtype and shape of all entries, as they are encoded, of those that have the usual form.

    Example:
        >>> import numpy as np
        >>> entry = bytes.fromhex("0801120412020802 2080102808 3501020304")
        >>> parse_heads(Spans(entry + bytes(64), np.array([0]), np.array([len(entry)])))[0].hex()
        '0801120412020802'
    """
    import numpy as np

    data = np.frombuffer(values.buffer, np.uint8)
    ends = np.minimum(values.starts + 4 + data[values.starts + 3], values.ends)
    buffer = values.buffer
    return [buffer[start:end] for start, end
            in zip(values.starts.tolist(), ends.tolist(), strict=True)]


class Numbers(NamedTuple):
    """What entries say beside dtype and shape; -1 everywhere in one that has to be parsed alone.

    Attributes:
        shards: Number of the data file.
        offsets: First byte there.
        sizes: Bytes.
        checksums: Masked CRC32C.
    """

    shards: list[int]
    offsets: list[int]
    sizes: list[int]
    checksums: list[int]


def parse_numbers(values: Spans) -> Numbers:
    """Parse the numbers of all entries of an index, of those that have the usual form.

    Args:
        values: Encoded entries; the buffer goes on for 64 bytes behind the last.

    Example:
        >>> import numpy as np
        >>> entry = bytes.fromhex("0801120412020802 2080102808 3501020304")
        >>> numbers = parse_numbers(Spans(entry + bytes(64), np.array([0]), np.array([len(entry)])))
        >>> numbers.offsets, numbers.sizes, hex(numbers.checksums[0])
        ([2048], [8], '0x4030201')
    """
    import numpy as np

    data = np.frombuffer(values.buffer, np.uint8)
    starts, ends = values.starts, values.ends
    heads = 4 + data[starts + 3].astype(np.int64)
    usual = (ends - starts >= heads + 5) & (data[starts] == 0x08) & (data[starts + 2] == 0x12) \
        & ((data[starts + 1] | data[starts + 3]) < 0x80)
    at = np.where(usual, starts + heads, starts)
    columns = []
    for tag in (0x18, 0x20, 0x28):
        column = np.zeros(len(starts), np.int64)
        has = np.flatnonzero(data[at] == tag)
        value, end = _long_varints(data, at[has] + 1)
        column[has] = value
        at[has] = end
        columns.append(column)
    usual &= (data[np.minimum(at, len(data) - 1)] == 0x35) & (at + 5 == ends)
    for column in columns:
        usual &= column >= 0
    at = np.where(usual, at, 0)
    checksum = sum(data[at + 1 + n].astype(np.int64) << 8 * n for n in range(4))
    return Numbers(*[np.where(usual, column, -1).tolist()
                     for column in (*columns, checksum)])


def _long_varints(data: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """As `_varints`, for numbers below 2^56."""
    import numpy as np

    value = np.zeros(len(at), np.int64)
    going = np.arange(len(at))
    at = at.copy()
    for shift in range(0, 56, 7):
        byte = data[at[going]]
        value[going] |= (byte & 0x7F).astype(np.int64) << shift
        at[going] += 1
        going = going[byte > 0x7F]
        if not len(going):
            return value, at
    value[going] = -1
    return value, at
