"""``tfckpt maps``: maps to other frameworks' names and layouts, and what they cover."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import ExitStack

from tfckpt.cli.options import add_json, print_json, print_lines, print_notes
from tfckpt.cli.sources import keras_source
from tfckpt.convert.export import model_names
from tfckpt.convert.mapfiles import read_map, shipped_names
from tfckpt.convert.mapform import encode_map
from tfckpt.convert.namemap import NameMap
from tfckpt.convert.resolving import Resolution, resolve
from tfckpt.convert.templates import Template
from tfckpt.core.opening import opened
from tfckpt.report.text import columns, printable

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
List the maps that ship, print one, or say how well one covers a checkpoint.

A map says what another framework calls each weight of a model and how it lies there;
`tfckpt convert --map` and tfckpt.torch.load go by it. docs/maps.md describes the form of map
files, which --json prints: a shipped map is a start for your own.

Exit status with CKPT: 0 every tensor is covered, 1 not, 2 something can't be read."""
EPILOG = """Examples:
  tfckpt maps
  tfckpt maps hf-bert
  tfckpt maps hf-bert --json > mine.json
  tfckpt maps mine.json bert_model.ckpt"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("map", nargs="?", metavar="MAP",
                        help="the name of a map that ships, or a file")
    parser.add_argument("path", nargs="?", metavar="CKPT",
                        help="a checkpoint, or a file of the other framework")
    add_json(parser)


def run(options: Namespace) -> int:
    """List, print, or compare."""
    if options.map is None:
        return _list(options)
    name_map = read_map(options.map)
    if options.path is not None:
        return _cover(name_map, options)
    if options.json:
        print_json(encode_map(name_map))
    else:
        print_lines(_rendered(name_map))
    return 0


def _list(options: Namespace) -> int:
    maps = [read_map(name) for name in shipped_names()]
    if options.json:
        print_json([{"name": item.name, "here": item.here, "there": item.there,
                     "rules": len(item.rules)} for item in maps])
    else:
        print_lines(columns(([item.name, str(len(item.rules)), "rules", item.here, "->", item.there]
                             for item in maps), right=[1]))
    return 0


def _rendered(name_map: NameMap) -> Iterator[str]:
    yield printable(f"{name_map.name}: {name_map.here} -> {name_map.there}")
    rows = [[_texts(rule.here), "->", _texts(rule.there) +
             "".join(f" (tied: {item.text})" for item in rule.tied) +
             "".join(f" (formerly: {item.text})" for item in rule.formerly),
             "" if rule.layout.name == "same" else rule.layout.name] for rule in name_map.rules]
    rows += [["(new)", "->", item.there.text,
              f"{item.dtype} {item.value:g}, for each {item.each.text}"]
             for item in name_map.constants]
    rows += [[item.names.text, "--", f"left out: {item.why}", ""]
             for item in (*name_map.exempt_here, *name_map.exempt_there)]
    yield from (printable(f"  {line}") for line in columns(rows))


def _texts(templates: tuple[Template, ...]) -> str:
    return ", ".join(item.text for item in templates)


def _cover(name_map: NameMap, options: Namespace) -> int:
    with ExitStack() as stack:
        source = stack.enter_context(opened(keras_source(options.path, stack)))
        print_notes(source.notes)
        names = model_names(source)
    out, back = resolve(name_map, names), resolve(name_map.inverted, names)
    if len(back.problems) < len(out.problems):
        name_map, out = name_map.inverted, back
    if options.json:
        print_json({"map": name_map.name, "from": name_map.ends[0], "to": name_map.ends[1],
                    "tensors": len(names), "outputs": sum(len(move.targets) for move in out.moves),
                    "problems": list(out.problems),
                    "left_out": [{"name": name, "reason": why} for name, why in out.left_out]})
    else:
        print_lines(_covered(name_map, out, len(names)))
    return 1 if out.problems else 0


def _covered(name_map: NameMap, found: Resolution, n_names: int) -> Iterator[str]:
    n_moved = sum(len(move.sources) for move in found.moves)
    n_outputs = sum(len(move.targets) for move in found.moves) + len(found.constants)
    yield printable(f"{name_map.name}: from {name_map.ends[0]} to {name_map.ends[1]}")
    yield from (printable(f"FAIL  {problem}") for problem in found.problems)
    yield (f"{'' if found.problems else 'ok':6}{n_moved:,} of {n_names:,} tensors become"
           f" {n_outputs:,}; {len(found.left_out) + len(found.repeated):,} left out")
    yield from (printable(f"      {name}: {why}") for name, why in found.left_out)
    yield from (printable(f"      {name}: tied to {first}") for name, first in found.repeated)
