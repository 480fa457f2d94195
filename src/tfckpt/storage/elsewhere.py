"""Addresses such as ``gs://bucket/run``, which the system would take for paths of local files.

Reading one finds nothing there, and a program that looks for its last checkpoint would train
from scratch; writing to one makes a local folder ``gs:``, and the checkpoint isn't where its
owner looks for it. So both are refused, with what copies the files.
"""

from __future__ import annotations

import os
import re

from tfckpt.errors import UnsupportedError

__all__ = ["refuse_folder_elsewhere", "refuse_prefix_elsewhere", "refuse_target_elsewhere"]

# The second form is what `pathlib` makes of the first.
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://|(gs|s3|hdfs|https?):/")
_PREFIX_HERE = {"gs": "gcloud storage cp 'PREFIX*' .", "hdfs": "hdfs dfs -get 'PREFIX*' .",
                "s3": "aws s3 cp --recursive --exclude '*' --include 'NAME*' FOLDER ."}
_FOLDER_HERE = {"gs": "gcloud storage cp -r FOLDER .", "hdfs": "hdfs dfs -get FOLDER .",
                "s3": "aws s3 cp --recursive FOLDER RUN"}
_PREFIX_THERE = {"gs": "gcloud storage cp NAME* FOLDER/", "hdfs": "hdfs dfs -put NAME* FOLDER",
                 "s3": "aws s3 cp --recursive --exclude '*' --include 'NAME*' . FOLDER"}


def refuse_prefix_elsewhere(path: str) -> None:
    """Refuse to read a checkpoint from another machine.

    Raises:
        UnsupportedError: The path is an address.
    """
    _refuse(path, "checkpoints elsewhere can't be read, only local files",
            "Copy all files of its prefix here first", _PREFIX_HERE)


def refuse_folder_elsewhere(path: str) -> None:
    """Refuse to look into a folder on another machine.

    Raises:
        UnsupportedError: The path is an address.
    """
    _refuse(path, "folders elsewhere can't be read, only local ones", "Copy it here first",
            _FOLDER_HERE)


def refuse_target_elsewhere(path: str) -> None:
    """Refuse to write to another machine.

    Raises:
        UnsupportedError: The path is an address.

    Example:
        >>> refuse_target_elsewhere("out/model.ckpt")
    """
    _refuse(path, "nothing can be written elsewhere, only local files",
            "Write to a local path and copy all files of the result there", _PREFIX_THERE)


def _refuse(path: str, message: str, what: str, commands: dict[str, str]) -> None:
    found = _ADDRESS.match(os.fspath(path))
    if found:
        command = commands.get(found[1] or found[2])
        raise UnsupportedError(message, file=path,
                               hint=f"{what}: {command}" if command else f"{what}.")
