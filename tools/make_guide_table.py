"""Write the table at the end of docs/guide.md anew, from what runs on this machine."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from guide_blocks import COLUMNS, PAGE, TABLE_START, run_live, run_plain, table


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(folder) / str(n) for n in range(1 + len(COLUMNS))]
        for path in folders:
            path.mkdir()
        live = {column: run_live(column, path)
                for column, path in zip(COLUMNS, folders[1:], strict=True)}
        new = table(run_plain(folders[0]), live)
    text = PAGE.read_text(encoding="utf-8")
    head = text.partition(TABLE_START)[0].rstrip("\n")
    PAGE.write_text(f"{head}\n\n{new}", encoding="utf-8")


if __name__ == "__main__":
    main()
