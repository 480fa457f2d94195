"""How well `match` knows which tensor is which: precision and recall on pairs with a known map.

Reads the shared fixtures, and lists of names that are made here. Precision counts wrong pairs,
recall the tensors that both sides have and that were paired; layers that nothing tells apart
count as not found.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import match_pairs


def main() -> None:
    """Print the table."""
    rows: dict[str, list[float]] = {}

    def add(group: str, found: match_pairs.Score, seconds: float) -> None:
        row = rows.setdefault(group, [0, 0, 0, 0, 0])
        for n, value in enumerate((1, found.n_known, found.n_right, len(found.wrong), seconds)):
            row[n] += value

    for case in match_pairs.cases() if match_pairs.SHARED.is_dir() else ():
        start = time.perf_counter()
        add(case.group, match_pairs.score(case), time.perf_counter() - start)
    for title, names, others, true_name in match_pairs.made_up():
        start = time.perf_counter()
        add(title, match_pairs.score_made_up(names, others, true_name),
            time.perf_counter() - start)
    print(f"{'pairs of checkpoints':<44} {'pairs':>6} {'tensors':>8} {'wrong':>6} "
          f"{'precision':>9} {'recall':>7} {'ms each':>8}")
    for group, (n, known, right, wrong, seconds) in rows.items():
        print(f"{group:<44} {n:6.0f} {known:8.0f} {wrong:6.0f} {right / (right + wrong):9.3f} "
              f"{right / known:7.3f} {seconds / n * 1000:8.1f}")


if __name__ == "__main__":
    main()
