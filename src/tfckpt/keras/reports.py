"""What loading weights into a Keras model found out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tfckpt.core.shapes import shape_text
from tfckpt.train.loadreport import loaded_line

__all__ = ["Found", "LoadReport", "Unsure", "Wrong"]

Shape = tuple[int, ...]
_EVIDENCE = ("map", "path", "name", "rule", "config", "order", "structure", "values")


class Found(NamedTuple):
    """A weight that has its value from a tensor, and why that one.

    Attributes:
        weight: The weight in the model.
        key: Key of the tensor.
        how: The evidence; see `tfckpt.keras.likeness`.
    """

    weight: str
    key: str
    how: str


class Wrong(NamedTuple):
    """A weight whose tensor has another shape."""

    weight: str
    key: str
    shape: Shape
    got: Shape


class Unsure(NamedTuple):
    """Layers of equal weights that nothing tells apart.

    Attributes:
        weights: Names of the model's weights, layer by layer.
        keys: Keys of the tensors, layer by layer.
        shapes: Shapes of the weights of each layer.
    """

    weights: tuple[tuple[str, ...], ...]
    keys: tuple[tuple[str, ...], ...]
    shapes: tuple[Shape, ...]


class LoadReport(NamedTuple):
    """Which tensor went into which weight.

    Attributes:
        model: Name of the model.
        source: The checkpoint.
        found: The weights that have their values.
        missing: Weights that nothing is like, with their shapes.
        mismatched: Weights whose tensor has another shape.
        unsure: Layers that can't be told apart.
        unused: Keys of tensors of the model that the program has no weight for.
        left_aside: How many tensors aren't the model's, by what they are.
        notes: What a reader should know.
        pending: Whether the model waits to be built; nothing is known until then.
    """

    model: str
    source: str
    found: tuple[Found, ...] = ()
    missing: tuple[tuple[str, Shape], ...] = ()
    mismatched: tuple[Wrong, ...] = ()
    unsure: tuple[Unsure, ...] = ()
    unused: tuple[str, ...] = ()
    left_aside: Mapping[str, int] = {}
    notes: tuple[str, ...] = ()
    pending: bool = False

    @property
    def ok(self) -> bool:
        """Whether every weight has its value, and every tensor of the model its weight."""
        return not (self.missing or self.mismatched or self.unsure or self.unused or self.pending)

    @property
    def n_weights(self) -> int:
        """How many weights the model has."""
        return (len(self.found) + len(self.missing) + len(self.mismatched)
                + sum(len(names) for group in self.unsure for names in group.weights))

    def how(self) -> dict[str, int]:
        """How many weights were found by which evidence."""
        kinds = [item.how for item in self.found]
        return {how: kinds.count(how) for how in _EVIDENCE if how in kinds}

    def map_to_fill_in(self) -> dict[str, str]:
        """A map from tensors that weren't used to weights, for people to complete.

        Example:
            >>> LoadReport("m", "c", unsure=(Unsure((("a/kernel",), ("b/kernel",)),
            ...     (("dense/kernel",), ("dense_1/kernel",)), ((4, 4),)),)).map_to_fill_in()
            {'dense/kernel': '? a/kernel, b/kernel', 'dense_1/kernel': '? a/kernel, b/kernel'}
        """
        lines = {}
        for group in self.unsure:
            for names in group.keys:
                for n, key in enumerate(names):
                    options = [weights[n] for weights in group.weights if n < len(weights)]
                    lines[key] = "? " + ", ".join(options)
        missing = ", ".join(name for name, _ in self.missing[:5])
        for key in self.unused:
            if missing:
                lines[key] = "? " + missing
        return lines

    def problems(self) -> list[str]:
        """Everything that keeps the model from being loaded whole, a line each."""
        lines = [f"missing: {name} {shape_text(shape)}: nothing in the checkpoint is like it"
                 for name, shape in self.missing]
        lines += [f"shape:   {item.weight} {shape_text(item.shape)}: {item.key} is"
                  f" {shape_text(item.got)}{_why(item)}" for item in self.mismatched]
        for n, group in enumerate(self.unsure, 1):
            shapes = ", ".join(map(shape_text, group.shapes))
            lines.append(f"alike:   group {n}, weights {shapes}; which is which?")
            left = [" ".join(names) for names in group.keys]
            right = [" ".join(names) for names in group.weights]
            width = max(map(len, left), default=0)
            lines += [f"           {a:{width}}   {b}" for a, b in zip(
                left + [""] * (len(right) - len(left)), right + [""] * (len(left) - len(right)),
                strict=True)]
        lines += [f"unused:  {key}: nothing in the model is like it" for key in self.unused]
        return lines

    def __str__(self) -> str:
        if self.pending:
            return (f"{self.model} isn't built yet; {self.source} will be loaded when it is built")
        lines = [loaded_line(f"{len(self.found)} of {self.n_weights} model weights", self.how(),
                             self.left_aside)]
        lines += self.problems()
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)


def _why(item: Wrong) -> str:
    shape, got = item.shape, item.got
    if item.weight.endswith("bias") and {len(shape), len(got)} == {1, 2} and shape[-1] == got[-1]:
        before = len(got) == 1
        return f"; the saved GRU has reset_after={not before}"
    return ""
