"""Which cell an LSTM was in TensorFlow, as the shapes of a checkpoint tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from tfckpt.core.source import Source
from tfckpt.torch.choices import choice_of, using_choices
from tfckpt.torch.recurrent import TF1_CELLS
from tfckpt.torch.walking import walk

__all__ = ["found_cells"]


@contextmanager
def found_cells(source: Source, module: nn.Module) -> Iterator[list[str]]:
    """Take LSTMs for TF1's cells where a checkpoint has only kernels for such.

    Keras's cells have a kernel for the input and one for the state, TF1's one for both.

    Yields:
        Notes on what was taken for what.
    """
    keys: dict[tuple[int, ...], list[str]] = {}
    for key, entry in source.index.items():
        keys.setdefault(entry.shape, []).append(key)
    chosen: dict[nn.Module, str] = {}
    notes = []
    for place in walk(module):
        if not isinstance(place.module, (nn.LSTM, nn.LSTMCell)) or choice_of(place.module):
            continue
        cell = _cell_of(place.module, keys)
        if cell is not None:
            chosen[place.module] = cell
            notes.append(
                f"{place.title} was TF1's {cell}. The file doesn't say its forget_bias: the"
                " default, 1, was added to the forget gates;"
                f' layouts={{"{".".join(place.names)}": "{cell}(0)"}} adds none')
    with using_choices(chosen):
        yield notes


def _cell_of(module: nn.LSTM | nn.LSTMCell, keys: dict[tuple[int, ...], list[str]]) -> str | None:
    """The cell of TF1, or None."""
    units = module.hidden_size
    shape = module.input_size + units, 4 * units
    if shape not in keys or ((module.input_size, 4 * units) in keys and (units, 4 * units) in keys):
        return None
    basic = any(TF1_CELLS[1] in key for key in keys[shape])
    return TF1_CELLS[1] if basic else TF1_CELLS[0]
