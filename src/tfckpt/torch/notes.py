"""What a checkpoint can't say of a module, for the report."""

from __future__ import annotations

from torch import nn

from tfckpt.torch.choices import choice_of
from tfckpt.torch.images import rows_of_images
from tfckpt.torch.walking import Place, walk

__all__ = ["notes_on"]

_EPSILON = 1e-3  # of Keras's normalizations, and of TF1's layers
_MOST = 3


def notes_on(module: nn.Module, *, by_map: bool) -> list[str]:
    """Notes on the layers of a module that a checkpoint was loaded into.

    Args:
        module: The module.
        by_map: Whether a map said what its tensors are, and not its layers' classes.
    """
    places = list(walk(module))
    if by_map:
        return [*_epsilons(places), *_extra(module), *_ties(module)]
    return [*rows_of_images(module), *_gates(places), *_epsilons(places), *_left_aside(places),
            *_shuffles(places), *_own(places), *_extra(module), *_ties(module)]


def _epsilons(places: list[Place]) -> list[str]:
    """Normalizations divide by a root to which they add something that no checkpoint has."""
    found: dict[float, list[str]] = {}
    for place in places:
        epsilon = getattr(place.module, "eps", None)
        if (isinstance(epsilon, float) and place.seen.weights and epsilon != _EPSILON
                and not type(place.module).__module__.startswith("torch.nn.utils.")):
            found.setdefault(epsilon, []).append(place.title)
    return [f"{_some(names)}: eps is {epsilon:g} here; the checkpoint doesn't say what it was, and"
            f" Keras's default is {_EPSILON:g} (nor does it say momentum)"
            for epsilon, names in found.items()]


def _gates(places: list[Place]) -> list[str]:
    """Keras's cells may have had another function on their gates, as older ones did."""
    names = [place.title for place in places
             if isinstance(place.module, (nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell))
             and (choice_of(place.module) or "keras") == "keras"]
    return [] if not names else [
        (f"{_some(names)}: gates have a sigmoid here, as Keras 2's; the checkpoint doesn't say, and"
         " those of Keras 1 and of TF1's tf.keras had hard_sigmoid by default")]


def _left_aside(places: list[Place]) -> list[str]:
    found: dict[str, list[str]] = {}
    for place in places:
        for name in place.seen.left_aside:
            found.setdefault(name, []).append(place.title)
    return [f"{_some(modules)}: {name} is as it was; TensorFlow has nothing like it"
            for name, modules in found.items()]


def _own(places: list[Place]) -> list[str]:
    names = [place.title for place in places
             if not place.seen.is_known and choice_of(place.module) is None]
    more = [f"{place.title}.{name}" for place in places if place.seen.is_known
            for name in place.seen.added]
    notes = []
    if names:
        notes.append(f"{_some(names)}: of no class that is known; what they have was taken as it"
                     " is")
    if more:
        notes.append(f"{_some(more)}: not what such a layer has, and taken as it is")
    return notes


def _extra(module: nn.Module) -> list[str]:
    plain = nn.Module.get_extra_state
    names = [name or type(item).__name__ for name, item in module.named_modules()
             if type(item).get_extra_state is not plain]
    return [] if not names else [
        f"{_some(names)}: what get_extra_state gives is no tensor, and stayed as it was"]


def _shuffles(places: list[Place]) -> list[str]:
    """Convolutions whose channels become pixels, which TensorFlow counts otherwise."""
    names, before = [], None
    for place in places:
        if isinstance(place.module, nn.modules.conv._ConvNd):  # noqa: SLF001 - its public classes are many
            before = place
        elif isinstance(place.module, nn.PixelShuffle) and before is not None:
            if before.module.out_channels > place.module.upscale_factor ** 2:
                names.append(before.title)
            before = None
    return [] if not names else [
        (f"{_some(names)}: PixelShuffle takes channels in another order than TensorFlow's"
         " depth_to_space, and they were not put into it")]


def _ties(module: nn.Module) -> list[str]:
    tied: dict[int, list[str]] = {}
    for name, value in module.named_parameters(remove_duplicate=False):
        tied.setdefault(id(value), []).append(name)
    return [f"{', '.join(names)} are one tensor, which is one variable"
            for names in tied.values() if len(names) > 1]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
