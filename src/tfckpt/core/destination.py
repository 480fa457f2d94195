"""Where a checkpoint is going to be: what is there already, and how it makes place."""

from __future__ import annotations

import contextlib
import os

from tfckpt.errors import DestinationExistsError
from tfckpt.format.naming import DataName, data_name, index_name, parse_data_name
from tfckpt.storage.elsewhere import refuse_target_elsewhere
from tfckpt.storage.local import list_folder, os_errors

__all__ = ["check_destination", "data_files", "free_shard_count", "refuse_target_elsewhere",
           "remove_files", "remove_others"]


def check_destination(prefix: str, sources: list[str], *, overwrite: bool) -> None:
    """Refuse to write over a source, or over anything unless told to.

    Raises:
        DestinationExistsError: Saying what is there.
        UnsupportedError: It is an address of another machine.
    """
    refuse_target_elsewhere(prefix)
    if not os.path.basename(prefix):
        raise DestinationExistsError(
            "the output is a folder; a prefix is needed, such as model.ckpt in it", file=prefix,
            hint=f"Try: {os.path.join(prefix, 'model.ckpt')}")
    here = os.path.realpath(index_name(prefix))
    if any(os.path.realpath(index_name(source)) == here for source in sources):
        raise DestinationExistsError("the output would replace its own source", file=prefix,
                                     hint="Give another prefix; the source is never changed.")
    if overwrite:
        return
    if os.path.lexists(index_name(prefix)):
        raise DestinationExistsError("there is already a checkpoint", file=prefix,
                                     hint="Give another prefix, or allow it with --overwrite.")
    if data_files(prefix):
        raise DestinationExistsError(
            "there are already data files of this prefix, without an index: a save that did not"
            " finish?", file=data_name(prefix, *data_files(prefix)[0][1:]),
            hint="Give another prefix, or allow it with --overwrite.")


def data_files(prefix: str) -> list[DataName]:
    """The names of the data files of a prefix that are there, whoever wrote them."""
    folder, stem = os.path.split(prefix)
    parsed = (parse_data_name(name) for name in list_folder(folder))
    return [name for name in parsed if name is not None and name.prefix == stem]


def free_shard_count(prefix: str, least: int) -> int:
    """How many shards to announce, so that no new data file takes the name of an old one.

    With the names taken, a crash between renaming the data and the index would leave the
    old index pointing into new data. One (empty) shard more gives all of them new names.
    """
    taken = {name.num_shards for name in data_files(prefix)}
    count = max(least, 1)
    while count in taken:
        count += 1
    return count


def remove_others(prefix: str, num_shards: int) -> None:
    """Remove the data files of the checkpoint that was replaced.

    The new one is whole already: a file that can't be removed, or that somebody else removed
    meanwhile, is no reason to call its save failed.
    """
    folder = os.path.dirname(prefix)
    for name in data_files(prefix):
        if name.num_shards != num_shards:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, data_name(*name)))


def remove_files(files: tuple[str, ...]) -> None:
    """Remove files, as far as they are there.

    Raises:
        StorageError: The system refuses.
    """
    for file in files:
        with os_errors(file, "remove"), contextlib.suppress(FileNotFoundError):
            os.unlink(file)
