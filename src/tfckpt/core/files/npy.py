"""Folders of ``.npy`` files."""

from tfckpt.core.files.numpy import check_folder as check
from tfckpt.core.files.numpy import read_folder as read
from tfckpt.core.files.numpy import write_folder as write

__all__ = ["check", "read", "write"]
