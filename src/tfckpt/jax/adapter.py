"""JAX's values as stand-ins; train/adapters.py says what those are for.

JAX has no variables. Its arrays never change, and a model is a tree of dicts, lists and other
containers with arrays in them. What a variable is elsewhere is here a place in a container: the
same array may be in two places and soon be two. Only Flax's NNX has variables, which hold arrays
and are the same wherever they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfckpt.errors import VariableError
from tfckpt.jax.arrays import is_value
from tfckpt.jax.containers import is_container, is_nnx_variable
from tfckpt.jax.places import Place
from tfckpt.jax.trees import JaxTree, place_of_variable
from tfckpt.train.adapters import Adapter

__all__ = ["ADAPTER", "JaxAdapter"]

_MOST = 5


class JaxAdapter(Adapter):
    """Stand-ins for arrays and for what holds them."""

    def stand_in(self, live: Any, memory: dict[str, Any]) -> Any:
        return None  # nothing that is known by itself: `tree` makes all of them

    def tree(self, value: Any) -> Any:
        if is_value(value):
            return Place(value, None, "", self)
        if is_nnx_variable(value):
            return place_of_variable(value, "", self)
        return JaxTree.of(value, self) if is_container(value) else None

    def check_settable(self, leaves: Sequence[Any]) -> None:
        fixed = [leaf.full_name or "the array itself" for leaf in leaves if leaf.set_value is None]
        if fixed:
            more = f" and {len(fixed) - _MOST} more" if len(fixed) > _MOST else ""
            raise VariableError(
                "arrays of JAX never change, and what holds some of these doesn't either",
                expected="a dict, a list or a module of flax.nnx around each",
                got=", ".join(fixed[:_MOST]) + more,
                hint="Nothing was loaded. tfckpt.jax.load(tree, path) gives a new tree.")


ADAPTER = JaxAdapter()
