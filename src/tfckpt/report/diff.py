"""How two checkpoints differ, as text and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tfckpt.core.shapes import shape_text
from tfckpt.report.json import entry_json, error_json
from tfckpt.report.text import columns, printable, short_key

if TYPE_CHECKING:
    from tfckpt.core.differences import Delta, DiffKind, DiffReport, TensorDiff

__all__ = ["diff_json", "render_diff"]

_MARKS: dict[DiffKind, str] = {"unreadable": "!", "shape": "~", "dtype": "~", "values": "~",
                               "only-a": "-", "only-b": "+", "close": "=", "same": "="}
_SHOWN = 50
_SAME: tuple[DiffKind, ...] = ("close", "same")


def render_diff(report: DiffReport, *, everything: bool = False) -> Iterator[str]:
    """A line for each tensor that differs, the biggest differences first, and a last one for all.

    Args:
        report: What was found.
        everything: Whether equal tensors are listed too, and long lists not cut.
    """
    for name, prefix, style in zip("AB", (report.a, report.b), report.styles, strict=True):
        yield f"{name}  {printable(prefix)} ({style})"
    for kinds in (("unreadable",), ("shape",), ("dtype",), ("values",), ("only-a",), ("only-b",)):
        yield from _section(sorted(report.of(*kinds), key=_size, reverse=True), everything)
    if everything:
        yield from _section(report.of(*_SAME), everything)
        yield from columns((".", _label_of(item.key), f"of {item.side.upper()}, not compared",
                            item.reason) for item in report.aside)
    yield _verdict(report)
    if not everything:
        yield from _aside(report)
    for hint in report.hints:
        yield f"hint: {printable(hint)}"


def _size(tensor: TensorDiff) -> tuple[float, float]:
    """Sorts by the largest difference; shapes and the like stay in the order of their keys."""
    delta = tensor.delta
    if delta is None:
        return 0, 0
    return math.inf if delta.n_nan else float(delta.max_abs or 0), float(delta.max_rel or 0)


def _section(tensors: list[TensorDiff], everything: bool) -> Iterator[str]:
    shown = tensors if everything else tensors[:_SHOWN]
    yield from columns([_MARKS[tensor.kind], _label(tensor), *_facts(tensor)] for tensor in shown)
    if len(tensors) > len(shown):
        yield (f"{_MARKS[tensors[0].kind]}  … and {len(tensors) - len(shown):,} more"
               " (--all shows them)")


def _label(tensor: TensorDiff) -> str:
    label = _label_of(tensor.key)
    other = tensor.keys[1]
    if tensor.keys[0] is not None and other is not None and _label_of(other) != label:
        label += f" = {_label_of(other)}"
    return label


def _label_of(key: str) -> str:
    return printable(short_key(key))


def _facts(tensor: TensorDiff) -> list[str]:
    if tensor.error is not None:
        return [printable(" ".join(str(tensor.error).splitlines()))]
    a, b = tensor.a or tensor.b, tensor.b or tensor.a
    assert a is not None
    assert b is not None
    what = f"{a.dtype} {shape_text(a.shape)}"
    if tensor.kind == "shape":
        return [what, "->", f"{b.dtype} {shape_text(b.shape)}"]
    if a.dtype != b.dtype:
        what = f"{a.dtype} -> {b.dtype} {shape_text(a.shape)}"
    return [what, *_measures(tensor.delta)] if tensor.delta or tensor.kind == "values" else [
        what, "", "", ""]


def _measures(delta: Delta | None) -> list[str]:
    if delta is None:
        return ["other bytes", "", ""]
    nan = f", {delta.n_nan:,} NaN" if delta.n_nan else ""
    count = f"{delta.n_differ:,} of {delta.n_elements:,}{nan}"
    if delta.max_abs is None:
        return [count, "", ""]
    at = f" at {shape_text(delta.at)}" if delta.at else ""
    return [count, f"max |d| {_number(delta.max_abs)}{at}", f"rel {_number(delta.max_rel)}"]


def _number(value: float | None) -> str:
    number: Any = value  # exact if it is an int, which counts as a float for mypy
    return f"{number:,}" if isinstance(number, int) else f"{number:.2e}"


def _verdict(report: DiffReport) -> str:
    counts = report.counts
    told = [f"{counts[kind]:,} {words}" for kind, words in (
        ("unreadable", "unreadable"), ("shape", "of another shape"), ("dtype", "of another dtype"),
        ("values", "of other values"), ("only-a", "only in A"), ("only-b", "only in B"),
    ) if kind in counts]
    how = " by checksum" if report.quick else ""
    told += [f"{counts[kind]:,} {words}" for kind, words in (
        ("close", "within the tolerance"), ("same", f"the same{how}")) if kind in counts]
    text = ", ".join(told) or "no tensors to compare"
    if report.same:
        return f"ok    {text}"
    return f"FAIL  {text}" if "unreadable" in counts else f"differ  {text}"


def _aside(report: DiffReport) -> Iterator[str]:
    """Why tensors were not compared, a line for each reason."""
    groups: dict[str, dict[str, list[str]]] = {}
    for item in report.aside:
        groups.setdefault(item.reason, {}).setdefault(item.side, []).append(item.key)
    for reason, sides in groups.items():
        of = [f"{_label_of(keys[0]) if len(keys) == 1 else f'{len(keys):,} tensors'}"
              f" of {side.upper()}" for side, keys in sides.items()]
        yield f"not compared: {', '.join(of)} ({reason})"


def diff_json(report: DiffReport, *, everything: bool = False) -> dict[str, Any]:
    """What was found; tensors that are the same are counted, and listed if ``everything``."""
    return {
        "a": report.a, "b": report.b, "styles": list(report.styles), "same": report.same,
        "quick": report.quick, "counts": report.counts,
        "tensors": [_tensor_json(tensor) for tensor in report.tensors
                    if everything or tensor.kind != "same"],
        "not_compared": [item._asdict() for item in report.aside], "hints": list(report.hints),
    }


def _tensor_json(tensor: TensorDiff) -> dict[str, Any]:
    value: dict[str, Any] = {"kind": tensor.kind, "key_a": tensor.keys[0], "key_b": tensor.keys[1]}
    for name, entry in (("a", tensor.a), ("b", tensor.b)):
        facts = None if entry is None else entry_json(entry)
        value[name] = facts and {name: facts[name] for name in ("dtype", "shape", "bytes")}
    if tensor.delta is not None:
        delta = tensor.delta._asdict()
        value |= {name: _json_number(found) for name, found in delta.items() if name != "at"}
        value["at"] = None if tensor.delta.at is None else list(tensor.delta.at)
    if tensor.error is not None:
        value["error"] = error_json(tensor.error)
    return value


def _json_number(value: float | None) -> float | str | None:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
