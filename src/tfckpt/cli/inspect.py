"""``tfckpt inspect``: what a checkpoint is."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from tfckpt.cli.options import add_json, add_path, print_json, print_lines, print_notes
from tfckpt.convert.fitting import fitting_maps
from tfckpt.core.opening import open_source
from tfckpt.core.summary import summarize
from tfckpt.report.json import summary_json
from tfckpt.report.text import render_summary

if TYPE_CHECKING:
    from tfckpt.convert.namemap import NameMap

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = "Say what a checkpoint is: its style, step, and tensors and bytes by role."
EPILOG = """Examples:
  tfckpt inspect runs/exp1
  tfckpt inspect model.ckpt-1000.data-00000-of-00001"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_path(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    """Say what it is."""
    with open_source(options.path) as source:
        summary = summarize(source)
        summary = summary._replace(hints=(*summary.hints, *map(_hint, fitting_maps(source))))
    print_notes(summary.notes)
    if options.json:
        print_json(summary_json(summary))
    else:
        print_lines(render_summary(summary))
    return 0


def _hint(name_map: NameMap) -> str:
    here, there = name_map.ends
    target = "--to tf1 -o DST" if name_map.backwards else "-o DST.safetensors"
    return (f"its names are those of {here}; `tfckpt convert --map {name_map.name} {target}` gives"
            f" them the names and layouts of {there}")
