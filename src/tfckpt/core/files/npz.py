"""``.npz`` archives of NumPy."""

from tfckpt.core.files.numpy import check_npz as check
from tfckpt.core.files.numpy import read_npz as read
from tfckpt.core.files.numpy import write_npz as write

__all__ = ["check", "read", "write"]
