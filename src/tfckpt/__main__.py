"""``python -m tfckpt``: the command, where its script isn't on the path."""

from __future__ import annotations

from tfckpt.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
