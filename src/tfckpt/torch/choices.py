"""What was said of modules that they are in TensorFlow, where their class alone doesn't tell."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from tfckpt.errors import TensorNotFoundError, UnsupportedError, nearest
from tfckpt.torch.layers import see
from tfckpt.train.allowing import check_layouts

__all__ = ["choice_of", "set_layouts", "using_choices", "using_layouts"]

_choices: weakref.WeakKeyDictionary[nn.Module, str] = weakref.WeakKeyDictionary()


def choice_of(module: nn.Module) -> str | None:
    """What was said of a module."""
    return _choices.get(module)


def set_layouts(module: nn.Module, layouts: Mapping[str, str]) -> None:
    """Say what modules are in TensorFlow, where their class alone doesn't tell.

    It is remembered for as long as they live, and counts for `load`, `save`, and what
    `tfckpt.Saver` and `tfckpt.Checkpoint` do with them. A copy of a module doesn't have it.

    Args:
        module: A module.
        layouts: Names of modules in it, as ``named_modules`` has them, to a layout:
            ``"flattened(7,7)"`` for a Linear after an image of 7 times 7, ``"unflattened(7,7)"``
            for one before it, ``"dense"`` for one that isn't; ``"pointwise"`` for one that was a
            convolution of size 1; ``"heads_in(12)"`` and ``"heads_out(12)"`` for projections of
            an attention that are divided into heads there; ``"lstm_cell"``,
            ``"basic_lstm_cell"`` or ``"keras"`` for an LSTM. A name with ``*`` stands for all
            modules of such names that can be this.

    Raises:
        TensorNotFoundError: There is no such module.
        UnsupportedError: It can't be this.
        FormatError: There is no such layout.
        VariableTypeError: A name or a layout isn't text.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 6 * 6, 10))
        >>> set_layouts(net, {"2": "flattened(6,6)"})
    """
    _choices.update(_read(module, layouts))


@contextmanager
def using_layouts(module: nn.Module, layouts: Mapping[str, str] | None) -> Iterator[None]:
    """`set_layouts` for the time of a ``with``, and for good if that ends well."""
    with using_choices(_read(module, layouts or {})):
        yield


@contextmanager
def using_choices(chosen: Mapping[nn.Module, str]) -> Iterator[None]:
    """The same, with the modules themselves."""
    before = {item: _choices.get(item) for item in chosen}
    _choices.update(chosen)
    try:
        yield
    except BaseException:
        for item, choice in before.items():
            if choice is None:
                _choices.pop(item, None)
            else:
                _choices[item] = choice
        raise


def _read(module: nn.Module, layouts: Mapping[str, str]) -> dict[nn.Module, str]:
    check_layouts(layouts)
    named = dict(module.named_modules())
    chosen: dict[nn.Module, str] = {}
    for name, layout in layouts.items():
        if name in named:
            see(named[name], layout)
            chosen[named[name]] = layout
            continue
        found = [other for other in named if fnmatchcase(other, name)]
        able = [named[other] for other in found if _can_be(named[other], layout)]
        if not able:
            near = nearest(name, named)
            what = f"no module of these {len(found)} can be {layout}" if found else (
                "the module has none of this name")
            raise TensorNotFoundError(what, tensor=name,
                                      hint=f"Nearest: {', '.join(near)}." if near else None)
        chosen.update(dict.fromkeys(able, layout))
    return chosen


def _can_be(module: Any, layout: str) -> bool:
    try:
        return any(item.layout == layout for item in see(module, layout).weights)
    except UnsupportedError:
        return False
