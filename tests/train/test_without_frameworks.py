"""What is said where a framework isn't installed."""

from __future__ import annotations

import pytest

import tfckpt.torch
from tfckpt.errors import MissingDependencyError


def test_pytorch_is_asked_for_by_the_line_that_installs_it():
    with pytest.raises(MissingDependencyError) as raised:
        tfckpt.torch.set_layouts  # noqa: B018 - it is imported here
    assert str(raised.value) == "tfckpt.torch needs PyTorch\npip install 'tfckpt[torch]'"
    with pytest.raises(AttributeError, match="module 'tfckpt.torch' has no attribute 'lod'"):
        tfckpt.torch.lod  # noqa: B018 - as above
