"""Layers beside images, whose weights have another order in PyTorch than in TensorFlow.

An image of h times w with c channels is c × h × w numbers in PyTorch when it is flattened, and
h × w × c in TensorFlow. The rows of the kernel after it are in that order, and so are the columns
of one before an image is made. A normalization over a whole image has such weights itself. Shapes
don't tell which it is, and nothing would fail: it would only compute something else. So a layer
that may be such a one has to be told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import nn

from tfckpt.errors import VariableError
from tfckpt.torch.choices import choice_of
from tfckpt.torch.walking import walk

__all__ = ["check_images", "check_own", "rows_of_images"]

_CONVOLUTIONS = (nn.modules.conv._ConvNd,)  # noqa: SLF001 - its public classes are many
_POOLINGS = (nn.modules.pooling._AdaptiveAvgPoolNd, nn.modules.pooling._AdaptiveMaxPoolNd)  # noqa: SLF001
_FEW_CHANNELS = 8  # fewer are a picture's, and divide what has nothing to do with it
_FEW_PIXELS = 4  # fewer parts are queries and keys, or scale and shift
_IMAGE_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm2d, nn.InstanceNorm3d)


class _Doubt(NamedTuple):
    """A layer that may stand beside an image."""

    name: str
    what: str
    layout: str


class _Image:
    """What is known of the image while layers are walked in order."""

    def __init__(self) -> None:
        self.flat: list[tuple[str, Any]] = []  # a Linear and normalizations of what it gives
        self.early: list[tuple[str, Any]] = []  # each Linear before the first convolution
        self.is_early = True
        self.last: Any = None  # a convolution whose image no layer behind it takes
        self._begin(None)

    def _begin(self, channels: int | None, *, is_line: bool = False) -> None:
        """Forget the image before."""
        self.channels = channels
        self.size: tuple[int, ...] | None = None
        self.is_flat = False
        self.is_line = is_line  # of one axis

    def doubts(self, name: str, module: Any) -> Iterator[_Doubt]:
        """Take the next layer; gives it, or one before, if it has to be told."""
        if isinstance(module, _CONVOLUTIONS):
            yield from self._made_by_view(module)
            self.last, self.is_early = module if len(module.kernel_size) > 1 else None, False
            self._begin(module.out_channels, is_line=len(module.kernel_size) == 1)
            self.flat = []
        elif isinstance(module, _IMAGE_NORMS) and self.channels is not None:
            self.channels = module.num_features  # of several images, one beside the other
        elif isinstance(module, _POOLINGS):
            self.size = _numbers(module.output_size)
            if self.size is not None and math.prod(self.size) == 1:
                self.channels = self.last = None
        elif isinstance(module, nn.LayerNorm) and len(module.normalized_shape) > 1:
            if choice_of(module) is None:
                yield _Doubt(
                    name, f"LayerNorm over {' x '.join(map(str, module.normalized_shape))}",
                    "image")
        elif isinstance(module, nn.Flatten):
            self.is_flat = True
        elif isinstance(module, (nn.BatchNorm1d, nn.LayerNorm)):
            if self.is_flat:
                yield from self._after(name, module, _length(module))
            if self.flat:
                self.flat.append((name, module))
        elif isinstance(module, nn.Linear):
            yield from self._after(name, module, module.in_features)
            self.last = None
            self.early += [(name, module)] * self.is_early
            self._begin(None)
            self.flat = [(name, module)]
        elif isinstance(module, nn.Unflatten):
            yield from self._before(module)

    def _after(self, name: str, module: Any, n: int) -> Iterator[_Doubt]:
        channels = self.channels
        if choice_of(module) or channels is None or channels == 1 or n <= channels or n % channels:
            return
        pixels = n // channels
        size = f"{pixels},1" if self.is_line else _size(pixels, self.size)
        yield _Doubt(
            name, f"{type(module).__name__} of {n} = {pixels} x {channels} numbers, after a"
            f" layer with {channels} channels", f"flattened({size})")

    def _made_by_view(self, conv: Any) -> Iterator[_Doubt]:
        """Layers of which ``view`` may make the image that a convolution takes."""
        if len(conv.kernel_size) == 1:
            return
        for name, module in self.flat:
            is_linear = isinstance(module, nn.Linear)
            n = module.out_features if is_linear else _length(module)
            if choice_of(module) is None and _are_pixels(n, conv.in_channels):
                pixels = n // conv.in_channels
                yield _Doubt(
                    name, f"{type(module).__name__} of {n} = {pixels} x {conv.in_channels} numbers,"
                    f" before a layer that takes {conv.in_channels} channels",
                    f"{'unflattened' if is_linear else 'flattened'}({_size(pixels, None)})")

    def made_before(self) -> Iterator[_Doubt]:
        """Layers that may take the last image, though they were made before."""
        channels = 0 if self.last is None else self.last.out_channels
        for name, module in self.early:
            if choice_of(module) is None and _are_pixels(module.in_features, channels):
                pixels = module.in_features // channels
                yield _Doubt(
                    name, f"{type(module).__name__} of {module.in_features} = {pixels} x"
                    f" {channels} numbers, in a module whose last layer gives {channels} channels",
                    f"flattened({_size(pixels, self.size)})")

    def _before(self, unflatten: Any) -> Iterator[_Doubt]:
        size = _numbers(tuple(unflatten.unflattened_size))
        if size is None or len(size) < 2 or math.prod(size[1:]) == 1 or size[0] == 1:
            return
        pixels = _size(math.prod(size[1:]), size[1:])
        for name, module in self.flat:
            kind = "unflattened" if isinstance(module, nn.Linear) else "flattened"
            if choice_of(module) is None:
                yield _Doubt(name, f"{type(module).__name__} before an image of"
                             f" {' x '.join(map(str, size))}", f"{kind}({pixels})")
        self.flat = []


def check_images(root: nn.Module) -> None:
    """See that every layer beside an image was told how that lies.

    Raises:
        VariableError: Some weren't; with all of them.
    """
    image = _Image()
    found = [doubt for place in walk(root) for doubt in image.doubts(place.title, place.module)]
    found += image.made_before()
    if not found:
        return
    layouts = ", ".join(f'"{doubt.name}": "{doubt.layout}"' for doubt in found)
    lines = "".join(f"\n  {doubt.name}: {doubt.what}" for doubt in found)
    raise VariableError(
        "the order of an image's numbers differs between PyTorch and TensorFlow, and it isn't known"
        f" whether these layers have one:{lines}",
        hint=f"Say so with layouts={{{layouts}}}, with the height and width of the image, or"
             ' with "dense" where there is none ("same" for a normalization). For Saver and'
             " Checkpoint: tfckpt.torch.set_layouts(module, {...}).")


def check_own(root: nn.Module) -> None:
    """See that no weights of an unknown class could lie either way.

    Where a matrix is a square, or all axes of a kernel are of one length, its shape doesn't tell
    whether it has to be transposed; of layers that are known, the class does.

    Raises:
        VariableError: Some could; with all of them.
    """
    found = []
    for place in walk(root):
        if place.seen.is_known or choice_of(place.module):
            continue
        for weights in place.seen.weights:
            shape = tuple(getattr(place.module, weights.names[0]).shape)
            if len(shape) > 1 and (*shape[2:], *shape[1::-1]) == shape:
                name = ".".join((*place.names, *weights.names))
                found.append((place, f"{name} of {type(place.module).__name__}, {list(shape)}"))
    if not found:
        return
    name = ".".join(found[0][0].names)
    raise VariableError(
        "these weights are of no layer that is known, and their shapes don't tell how they lie:"
        + "".join(f"\n  {what}" for _, what in found),
        hint=f'Say so with layouts={{"{name}": "same"}} for one that lies as in TensorFlow, or'
             ' "dense" or "conv" for one that has to be transposed.')


def rows_of_images(root: nn.Module) -> list[str]:
    """Notes on recurrent layers that may take an image in columns."""
    notes, channels = [], 1
    for place in walk(root):
        module = place.module
        if isinstance(module, _CONVOLUTIONS):
            channels = module.out_channels
        elif isinstance(module, nn.RNNBase):
            n = module.input_size
            if channels > 1 and n > channels and n % channels == 0:
                notes.append(
                    f"{place.title} takes {n} = {n // channels} x {channels} numbers at once. If"
                    " they are a column of an image, PyTorch has them in another order than"
                    " TensorFlow, and the columns of its kernel were not put into it")
            channels = 1
    return notes


def _are_pixels(n: int, channels: int) -> bool:
    """Whether so many numbers are likely those of an image with these channels."""
    return (channels >= _FEW_CHANNELS and n % channels == 0 and n // channels >= _FEW_PIXELS)


def _length(module: Any) -> int:
    """How many numbers a normalization takes at once."""
    return int(module.num_features if isinstance(module, nn.BatchNorm1d)
               else module.normalized_shape[-1])


def _numbers(size: Any) -> tuple[int, ...] | None:
    """A size as numbers, if all of it is known."""
    sizes = size if isinstance(size, tuple) else (size, size)
    return tuple(sizes) if all(isinstance(item, int) and item > 0 for item in sizes) else None


def _size(n: int, known: tuple[int, ...] | None) -> str:
    """Height and width of n pixels, as far as they can be told."""
    if known is not None and len(known) > 1 and math.prod(known) == n:
        return f"{math.prod(known[:-1])},{known[-1]}"
    side = math.isqrt(n)
    return f"{side},{side}" if side * side == n else "h,w"
