"""Write docs/errors.md from the table of explanations."""

from __future__ import annotations

from pathlib import Path

from tfckpt.report.explain import errors_page

page = Path(__file__).resolve().parent.parent / "docs" / "errors.md"
page.write_text("\n".join(errors_page()) + "\n", encoding="utf-8")
print(f"wrote {page}")
