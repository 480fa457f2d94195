"""Reports as plain text for people."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tfckpt.core.origin import Reuse, Sliced
from tfckpt.core.plan import Output, made_of, old_key
from tfckpt.core.shapes import shape_text
from tfckpt.errors import AmbiguousNamesError, CheckpointError

if TYPE_CHECKING:  # each command imports what it reports on, and not what the others do
    from tfckpt.core.catalog import Catalog, CatalogEntry, Relocation, Removal
    from tfckpt.core.index import Entry
    from tfckpt.core.report import (
        ConvertReport,
        FolderReport,
        Group,
        Problem,
        SalvageReport,
        StateFix,
        Summary,
        VerifyReport,
    )

__all__ = ["columns", "human_bytes", "printable", "quoted", "render_catalog", "render_convert",
           "render_error", "render_leftovers", "render_listing", "render_plan",
           "render_relocation", "render_removal", "render_salvage", "render_state_fix",
           "render_summary", "render_verified_line", "render_verify", "short_key"]

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def printable(text: str) -> str:
    """A name as a terminal may show it: control characters and stray bytes as escapes.

    Example:
        >>> printable("a\\x1b[31m\\udcff")
        'a\\\\x1b[31m\\\\xff'
    """
    if text.isprintable():
        return text
    out = []
    for char in text:
        code = ord(char)
        if char.isprintable():
            out.append(char)
        elif 0xDC80 <= code <= 0xDCFF:  # a byte that isn't UTF-8
            out.append(f"\\x{code - 0xDC00:02x}")
        else:
            out.append(f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
    return "".join(out)


def short_key(key: str) -> str:
    """A key as people say it: without the ending that every variable has.

    Example:
        >>> short_key("dense/kernel/.ATTRIBUTES/VARIABLE_VALUE")
        'dense/kernel'
    """
    return key.removesuffix(_VALUE)


def human_bytes(n_bytes: int) -> str:
    """A size in the unit that fits, with powers of 1000.

    Example:
        >>> human_bytes(418_000_000), human_bytes(12)
        ('418 MB', '12 B')
    """
    value = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 9.995 else f"{value:.2f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def columns(rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> Iterator[str]:
    """Rows as lines with aligned columns; those numbered in ``right`` flush right.

    Example:
        >>> list(columns([["a", "1"], ["bc", "10"]], right=[1]))
        ['a    1', 'bc  10']
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    flush = set(right)
    for row in rows:
        cells = [cell.rjust(width) if n in flush else cell.ljust(width)
                 for n, (cell, width) in enumerate(zip(row, widths, strict=True))]
        yield "  ".join(cells).rstrip()


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def render_listing(entries: Iterable[Entry], *, long: bool = False, raw: bool = False
                   ) -> Iterator[str]:
    """One line per tensor: key, dtype, shape; ``long`` adds bytes, shard, offset and CRC."""
    rows = []
    for entry in entries:
        key = printable(entry.key if raw else short_key(entry.key))
        row = [key, entry.dtype.name, shape_text(entry.shape)]
        if entry.slices:
            row[2] += f" in {_count(len(entry.slices), 'slice')}"
        if long:
            row += [f"{entry.n_bytes:,}", f"shard {entry.shard_id}", f"at {entry.offset:,}",
                    f"{entry.masked_crc32c:08x}"]
        rows.append(row)
    return columns(rows, right=[3, 5])


def render_summary(summary: Summary) -> Iterator[str]:
    """What a checkpoint is."""
    style = {"name-based": "name-based (TF1)", "object-based": "object-based (TF2)"}[summary.style]
    step = f", step {summary.step}" if summary.step is not None else ""
    kind = {"V2": "TensorFlow checkpoint (V2 bundle)", "V1": "TensorFlow checkpoint (V1)"}.get(
        summary.format)
    shards = _count(summary.n_shards, "shard" if kind else "file")
    yield (f"{f'{kind}, {style}' if kind else summary.format}, {shards},"
           f" {human_bytes(summary.n_bytes)}{step}")
    yield from ("  " + line for line in columns(
        (_group_row(group) for group in summary.groups), right=[1, 2, 3]))
    for hint in summary.hints:
        yield hint if hint.startswith("warning:") else f"hint: {hint}"


def _group_row(group: Group) -> list[str]:
    if not group.n_tensors:
        return [group.role, "none", "", "", ""]
    kinds = ", ".join(map(printable, group.kinds[:6])) + (", …" if len(group.kinds) > 6 else "")
    dtypes = ", ".join(group.dtypes)
    return [group.role, _count(group.n_tensors, "tensor"), _count(group.n_params, "value"),
            human_bytes(group.n_bytes), dtypes + (f" ({kinds})" if kinds else "")]


def quoted(path: str) -> str:
    """A path as a shell takes it.

    Example:
        >>> quoted("a b/model.ckpt-7")
        "'a b/model.ckpt-7'"
        >>> print(quoted("a'; b"))
        'a'"'"'; b'
    """
    if re.fullmatch(r"[\w@%+=:,./\\-]+", path, re.ASCII):
        return path
    import shlex  # deferred: few paths need it

    return shlex.quote(path)


def render_verify(report: VerifyReport) -> Iterator[str]:
    """What is damaged, and what isn't."""
    for problem in report.problems:
        yield from _problem(problem)
    for count in report.not_finite:
        yield (f"FAIL  {count.n_nan:,} NaN and {count.n_inf:,} Inf in"
               f" {_count(count.n_values, 'value')} (tensor {printable(count.tensor)!r})")
    yield from (f"note  {printable(note)}" for note in report.notes)
    good = report.n_tensors - len(report.damaged)
    shards = _count(report.n_shards, "shard")
    tensors = f"{good:,} of {_count(report.n_tensors, 'tensor')}"
    where = (f"{report.n_shards - report.n_bad_shards:,} of {shards}; {tensors}"
             if report.n_bad_shards else f"{tensors} in {shards}")
    if good or not report.problems:
        checked = "sizes" if report.quick else f"checksums, {human_bytes(report.n_bytes)}"
        yield f"ok    {'index; ' if report.index_whole else ''}{where} ({checked})"
    if report.values is not None and not report.not_finite:
        yield f"ok    no NaN, no Inf in {_count(sum(v.n_values for v in report.values), 'value')}"
    if good and report.problems:
        prefix = printable(quoted(report.prefix))
        yield f"hint: `tfckpt salvage {prefix} -o DST` writes what is whole"


def _problem(problem: Problem) -> Iterator[str]:
    """One problem, with the names of all tensors that it hits."""
    first, *rest = str(problem.error).splitlines()
    yield f"FAIL  {printable(first)}"
    if problem.tensors and problem.error.tensor is None:
        names = [printable(short_key(name)) for name in problem.tensors]
        yield from _wrapped(f"      {_count(len(names), 'tensor')}:", names)
    yield from (f"      {printable(line)}" for line in rest)


def _wrapped(line: str, words: list[str]) -> Iterator[str]:
    """Words behind the beginning of a line, and on as many more as they take."""
    for n, word in enumerate(words):
        comma = "," if n < len(words) - 1 else ""
        if len(line) + len(word) > 98 and line.strip():
            yield line
            line = " " * 7
        line += f" {word}{comma}"
    yield line


def render_verified_line(report: VerifyReport, *, details: bool = False) -> Iterator[str]:
    """What one checkpoint of many is like: a line, and more for a bad one if asked for."""
    name = _last_name(report.prefix)
    if report.ok:
        yield (f"ok    {name}  {_count(report.n_tensors, 'tensor')},"
               f" {human_bytes(report.n_bytes)}")
        return
    what = [_count(len(report.problems), "problem")] if report.problems else []
    if report.damaged:
        what.append(f"{len(report.damaged):,} of {_count(report.n_tensors, 'tensor')} damaged")
    if report.not_finite:
        what.append(f"NaN or Inf in {_count(len(report.not_finite), 'tensor')}")
    yield f"FAIL  {name}  {', '.join(what)}"
    if details:
        yield from (f"      {line}" for line in render_verify(report)
                    if not line.startswith(("ok", "hint")))


def render_leftovers(report: FolderReport) -> Iterator[str]:
    """What saves that didn't finish left in a folder."""
    for path, n_bytes, what in report.leftovers:
        yield f"note  leftover {_last_name(path)}, {human_bytes(n_bytes)}: {printable(what)}"


def render_state_fix(fix: StateFix) -> Iterator[str]:
    """What changed in a state file."""
    yield printable(fix.state_file)
    if fix.old == fix.new:
        yield "  Nothing to change: all that it names is good."
        return
    yield from ("  " + line for line in columns(
        [printable(path), "--", f"dropped: {printable(reason)}"] for path, reason in fix.dropped))
    yield f"  latest: {printable(fix.new.model_checkpoint_path)}"
    if fix.dry_run:
        yield "Nothing written (--dry-run)."
    elif fix.backup is not None:
        yield f"  the old one is kept as {printable(fix.backup)}"


def render_salvage(report: SalvageReport) -> Iterator[str]:
    """What was taken out of a damaged checkpoint, and what is lost."""
    plan = report.plan
    yield f"{printable(report.source)} -> {printable(report.target)}"
    yield from (f"lost  {printable(short_key(item.key))}: {printable(item.reason)}"
                for item in plan.left_out)
    for error in report.unknown:
        yield f"lost  what else was here: {printable(str(error).splitlines()[0])}"
    yield from (f"note  {printable(note)}" for note in plan.notes)
    total = len(plan.outputs) + len(plan.left_out)
    if not plan.outputs:
        yield "Nothing written: no tensor is whole."
        return
    yield f"ok    {len(plan.outputs):,} of {_count(total, 'tensor')}"
    yield from ("  " + line for line in columns(
        ([file.file, human_bytes(file.n_bytes), _how(file.how)] for file in report.files),
        right=[1]))
    if report.dry_run:
        yield "Nothing written (--dry-run)."


def render_plan(report: ConvertReport) -> Iterator[str]:
    """Every output of a plan, and what is left out."""
    rows = []
    for output in report.plan.outputs:
        old = old_key(output)
        made = made_of(output)
        keys = made.keys if made else () if old is None else (old,)
        rows.append([", ".join(printable(short_key(key)) for key in keys) or "(new)", "->",
                     printable(output.key), made.layout if made else _in_parts(output)])
    rows += [[printable(item.key), "--", f"left out: {item.reason}", ""]
             for item in report.plan.left_out]
    return ("  " + line for line in columns(rows))


def _in_parts(output: Output) -> str:
    """How a tensor is stored, if not simply in one piece."""
    if not isinstance(output.origin, Sliced):
        return ""
    return f"in {_count(len(output.origin.parts), 'part')}"


def render_convert(report: ConvertReport) -> Iterator[str]:
    """What a conversion did, in a few lines."""
    outputs = report.plan.outputs
    n_reused = sum(all(isinstance(item, Reuse) for item in output.stored()) for output in outputs)
    n_new = sum(old_key(output) is None for output in outputs)
    n_moved = len(outputs) - n_reused - n_new
    moved = f" {n_moved} rewritten;" if n_moved else ""
    renamed = any(old_key(output) not in (None, output.key) for output in outputs)
    yield f"{report.source} -> {report.target} ({report.format or report.plan.style})"
    if report.format:
        yield f"  {_count(len(outputs), 'tensor')}; {len(report.plan.left_out)} left out"
    else:
        yield (f"  {_count(n_reused, 'tensor')} {'renamed' if renamed else 'kept'}, their bytes"
               f" untouched;{moved} {n_new} new; {len(report.plan.left_out)} left out")
    layouts = Counter(made.layout for output in outputs if (made := made_of(output)))
    if layouts:
        yield "  layouts: " + ", ".join(f"{_count(n, 'tensor')} {name}"
                                        for name, n in layouts.most_common())
    yield from (f"  left out: {printable(item.key)} ({item.reason})"
                for item in report.plan.left_out[:10])
    if len(report.plan.left_out) > 10:
        yield f"  … and {len(report.plan.left_out) - 10} more"
    yield from ("  " + line for line in columns(
        ([file.file, human_bytes(file.n_bytes), _how(file.how)] for file in report.files),
        right=[1]))
    if report.n_values:
        yield f"  {report.n_values[0]:,} values in, {report.n_values[1]:,} values out"
    if report.verified:
        yield f"  verified: reloaded and compared, {report.verified[0]}/{report.verified[1]} equal"
    if not report.files:
        yield "Nothing written (--dry-run)."


def _how(how: str) -> str:
    return how if how == "new" else {"copy": "copied"}.get(how, f"linked ({how})")


def render_catalog(catalog: Catalog) -> Iterator[str]:
    """A line for each checkpoint of a folder, for each leftover, and for what is gone."""
    rows = [_catalog_row(entry) for entry in catalog.checkpoints]
    rows += [["leftover", _last_name(item.path), "", human_bytes(item.n_bytes),
              item.what] for item in catalog.leftovers]
    rows += [["gone", printable(path), "", "", "in the state file, but not here"]
             for path in catalog.gone]
    if not rows:
        return iter([f"No checkpoint is in {printable(catalog.folder)}."])
    return columns(rows, right=[3])


def _catalog_row(entry: CatalogEntry) -> list[str]:
    step = "" if entry.step is None else f"step {entry.step}"
    detail = printable(entry.problem or "")
    if detail and entry.listed:
        detail += "; it is the latest" if entry.latest else "; it is listed"
    return [entry.state, _last_name(entry.prefix), step, human_bytes(entry.n_bytes), detail]


def _last_name(path: str) -> str:
    # A prefix that ends in a slash has no last name.
    return printable(os.path.basename(path) or path)


def render_relocation(relocation: Relocation) -> Iterator[str]:
    """What changed in a state file."""
    yield printable(relocation.state_file)
    old, new = relocation.old, relocation.new
    if old == new:
        yield "  Nothing to change: every path in it is relative and leads to a checkpoint."
        return
    yield from ("  " + line for line in columns(
        [printable(before), "--", "dropped: nothing is there"] if after is None
        else [printable(before), "->", printable(after)] for before, after in relocation.changes))
    yield f"  latest: {printable(new.model_checkpoint_path)}"
    if relocation.dry_run:
        yield "Nothing written (--dry-run)."


def render_removal(removal: Removal) -> Iterator[str]:
    """What was removed, and what became of the state file."""
    verb = "would remove" if removal.dry_run else "removed"
    yield from columns(([verb, printable(file), human_bytes(n_bytes)]
                        for file, n_bytes in removal.files), right=[2])
    if removal.state_file is None or removal.old is None:
        return
    if removal.new is None:
        yield f"{verb}  {printable(removal.state_file)}, which names no other checkpoint"
    elif removal.new.model_checkpoint_path == removal.old.model_checkpoint_path:
        yield f"{verb}  its entry in {printable(removal.state_file)}"
    else:
        yield (f"{verb}  its entry in {printable(removal.state_file)}; the latest is now"
               f" {printable(removal.new.model_checkpoint_path)}")


def render_error(error: CheckpointError) -> Iterator[str]:
    """An error as the lines that end a command."""
    first, *rest = str(error).splitlines() or [type(error).__name__]
    yield f"error: {printable(first)}"
    if isinstance(error, AmbiguousNamesError):
        rows = []
        for name, keys in list(error.groups.items())[:20]:
            for n, key in enumerate(keys[:10]):
                rows.append([repr(printable(name)) if not n else "", "<-", printable(key)])
            if len(keys) > 10:
                rows.append(["", "<-", f"and {len(keys) - 10} more"])
        yield from ("  " + line for line in columns(rows))
        if len(error.groups) > 20:
            yield f"  … and {len(error.groups) - 20} more names"
    yield from (printable(line) for line in rest)
