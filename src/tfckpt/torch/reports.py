"""What loading a checkpoint into a module found out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tfckpt.core.shapes import shape_text
from tfckpt.train.loadreport import loaded_line

__all__ = ["LoadReport", "Loaded", "Unsure", "Wanted", "Wrong"]

Shape = tuple[int, ...]
_EVIDENCE = ("map", "name", "rule", "structure", "order")
_MOST = 4  # names in a line


class Loaded(NamedTuple):
    """Tensors of the module that have their values.

    Attributes:
        tensors: Their names in the module.
        keys: Keys of the checkpoint's tensors that they are made of.
        layout: How; see `tfckpt.convert.layouts`.
        how: The evidence that these are those; see `tfckpt.core.matching`.
    """

    tensors: tuple[str, ...]
    keys: tuple[str, ...]
    layout: str
    how: str


class Wanted(NamedTuple):
    """What the module has, as TensorFlow would have it.

    Attributes:
        name: Tensors of the module, and which variable they are.
        shape: Its shape in TensorFlow.
        near: Names in the checkpoint that are most like it.
    """

    name: str
    shape: Shape
    near: tuple[str, ...] = ()


class Wrong(NamedTuple):
    """A tensor of the checkpoint that is the right one by its name, and can't be by what it is.

    Attributes:
        name: As of `Wanted`.
        expected: The dtype and shape that the module has, as TensorFlow would have it.
        key: The tensor of the checkpoint.
        got: Its dtype and shape.
        hint: What may be the reason.
        castable: Whether it is only another precision of the same numbers.
    """

    name: str
    expected: str
    key: str
    got: str
    hint: str = ""
    castable: bool = False


class Unsure(NamedTuple):
    """Layers of equal weights that nothing tells apart.

    Attributes:
        weights: What each of them has.
        keys: The layers of the checkpoint.
        names: Those of the module.
        choices: Each tensor of the checkpoint's layers, and those of the module that it may be.
    """

    weights: str
    keys: tuple[str, ...]
    names: tuple[str, ...]
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()


class LoadReport(NamedTuple):
    """Which tensors of a checkpoint went into which of a module.

    Attributes:
        module: The module's class.
        source: The checkpoint.
        loaded: What has its value.
        missing: What nothing in the checkpoint is like; it keeps its value.
        mismatched: What differs in shape or dtype.
        unsure: Layers that can't be told apart.
        unused: Keys of the checkpoint's model that the module has nothing for.
        left_aside: How many tensors of the checkpoint aren't a model's, by what they are.
        notes: What a reader should know.
    """

    module: str
    source: str
    loaded: tuple[Loaded, ...] = ()
    missing: tuple[Wanted, ...] = ()
    mismatched: tuple[Wrong, ...] = ()
    unsure: tuple[Unsure, ...] = ()
    unused: tuple[str, ...] = ()
    left_aside: Mapping[str, int] = {}
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all of the module has its values, and all of the checkpoint's model a place."""
        return not (self.missing or self.mismatched or self.unsure or self.unused)

    @property
    def missing_keys(self) -> list[str]:
        """Names of the module's tensors that are missing, as PyTorch calls them."""
        return [name for item in self.missing for name in item.name.partition(" (")[0].split(", ")]

    @property
    def unexpected_keys(self) -> list[str]:
        """Keys that are unused, as PyTorch calls them."""
        return list(self.unused)

    def how(self) -> dict[str, int]:
        """How many rows of ``loaded`` there are by which evidence."""
        kinds = [item.how for item in self.loaded]
        return {how: kinds.count(how) for how in _EVIDENCE if how in kinds}

    def layouts(self) -> dict[str, list[str]]:
        """Names of the module's tensors by the layout that they were put into."""
        found: dict[str, list[str]] = {}
        for item in self.loaded:
            found.setdefault(item.layout, []).extend(item.tensors)
        return found

    def map_to_fill_in(self) -> dict[str, str]:
        """Names for ``names=``: tensors that can't be told apart, for people to complete.

        Example:
            >>> LoadReport("Net", "c", unsure=(Unsure("kernel [4,4]", ("x", "y"), ("a", "b"), (
            ...     ("x/kernel", ("a.weight", "b.weight")),)),)).map_to_fill_in()
            {'x/kernel': '? a.weight, b.weight'}
        """
        return {name: "? " + ", ".join(tensors) for group in self.unsure
                for name, tensors in group.choices}

    def problems(self) -> list[str]:
        """Everything that keeps the module from being loaded whole, a line each."""
        lines = [f"missing: {name} {shape_text(shape)}: nothing in the checkpoint is like it"
                 + (f"; nearest: {', '.join(near)}" if near else "")
                 for name, shape, near in self.missing]
        lines += [f"differs: {item.name} {item.expected}: {item.key} is {item.got}"
                  + (f"; {item.hint}" if item.hint else "") for item in self.mismatched]
        for group in self.unsure:
            lines.append(f"alike:   {group.weights}: which is which?")
            lines += [f"           {', '.join(group.keys)}", f"           {', '.join(group.names)}"]
        return lines + [f"unused:  {key}: nothing in the module is like it" for key in self.unused]

    def table(self) -> str:
        """What went where, a line for each row of ``loaded``."""
        rows = [(", ".join(item.keys), ", ".join(item.tensors), item.layout, item.how)
                for item in self.loaded]
        widths = [max((len(row[n]) for row in rows), default=0) for n in range(3)]
        return "\n".join(f"{key:{widths[0]}}  ->  {name:{widths[1]}}  {layout:{widths[2]}}  {how}"
                         for key, name, layout, how in rows)

    def __str__(self) -> str:
        done = sum(len(item.tensors) for item in self.loaded)
        lines = [loaded_line(f"{done} tensors of {self.module}", self.how(), self.left_aside)]
        for layout, names in self.layouts().items():
            more = f", and {len(names) - _MOST} more" if len(names) > _MOST else ""
            lines.append(f"layout:  {layout}: {', '.join(names[:_MOST])}{more}")
        lines += self.problems()
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)
