"""Object graphs whose objects get other paths.

TensorFlow restores by walking the edges of the graph, so an edge must be called what the
program calls it. Every tensor says where it goes: its old path, from which its objects are
known, and its new one. The new paths together are a tree of *places*; each object goes to the
place that most of its tensors name:

    old paths   a/x/w  a/x/b  c/w          an edge is relabelled           a/x  ->  a/y
    new paths   a/y/w  a/y/b  p/c/w        a place without an object is    p
                                           made; two objects at one place become one, and one
                                           object at two places is divided

What no tensor's key goes through (a second name such as ``layer-0`` beside
``layer_with_weights-0``, objects without values) stays with its object, so that programs that
have it still find it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from tfckpt.errors import UnsupportedError
from tfckpt.format.objectgraph import Child, Node, SlotVariable, nodes_with_values

__all__ = ["Move", "Path", "Relabelled", "Walker", "object_paths", "relabel",
           "split_path"]

_MOST_DEPTH = 256  # paths of paths would take the square of that

Path = tuple[str, ...]
"""Local names from the root to an object, as they are in the graph."""


class Move(NamedTuple):
    """Where an object goes: its old path and its new one."""

    old: Path
    new: Path


class Relabelled(NamedTuple):
    """A graph with other paths.

    Attributes:
        nodes: It; keys of tensors in it are still the old ones.
        number_of: The new number of each old node that is still there.
        lost: Old paths of objects that no path leads to any longer.
    """

    nodes: tuple[Node, ...]
    number_of: Mapping[int, int]
    lost: tuple[Path, ...] = ()


def split_path(old: Path, name: str) -> Path:
    """A name that people gave to an object, as a path.

    Local names may have slashes in them, as where a dictionary has variables under TF1 names.
    Slashes of the old path that the new one has too are what they were: a part of a local
    name, or an edge.

    Args:
        old: The object's path so far.
        name: Its new name, with slashes between all parts.

    Example:
        >>> split_path(("vars", "dense/kernel"), "vars/dense/w")
        ('vars', 'dense/w')
        >>> split_path(("vars", "dense/kernel"), "vars/encoder/dense/kernel")
        ('vars', 'encoder/dense/kernel')
        >>> split_path(("m", "w"), "model/m/w")
        ('model', 'm', 'w')
    """
    before = "/".join(old).split("/")
    after = name.split("/")
    inner = _inner_slashes(old)  # number of each slash that is a part of a local name
    if len(before) == len(after):
        return _joined(after, inner)
    start, end = _common_ends(before, after)
    shift = len(after) - len(before)
    found = {cut for cut in inner if cut < start}
    found |= {cut + shift for cut in inner if cut + shift > len(after) - end}
    first, last = start, len(after) - end  # the slashes beside what is new, and those in it
    if first < last and start < len(before) - end:  # some parts for others
        if any(start < cut < len(before) - end for cut in inner):
            found |= set(range(first + 1, last))
        found |= {cut for cut, was in ((first, start), (last, len(before) - end)) if was in inner}
    elif first < last:  # parts are put in
        has_left, has_right = start - 1 in inner, start + 1 in inner
        if start in inner or has_right or has_left:
            found |= set(range(first + 1, last))
        if start in inner or (has_left and not has_right):
            found.add(first)
        if start in inner or has_right:
            found.add(last)
    elif {start, len(before) - end} <= inner:  # parts are left out between two slashes
        found.add(first)
    return _joined(after, found)


def _inner_slashes(path: Path) -> set[int]:
    found: set[int] = set()
    at = 0
    for local_name in path:
        n_slashes = local_name.count("/")
        found.update(range(at + 1, at + n_slashes + 1))
        at += n_slashes + 1
    return found


def _common_ends(a: Sequence[str], b: Sequence[str]) -> tuple[int, int]:
    """How many parts they begin with together, and end with after these."""
    most = min(len(a), len(b))
    start = next((n for n in range(most) if a[n] != b[n]), most)
    end = next((n for n in range(most - start) if a[-1 - n] != b[-1 - n]), most - start)
    return start, end


def _joined(parts: Sequence[str], inner: set[int]) -> Path:
    """Parts as local names; those with these numbers hang on the ones before them."""
    path = [parts[0]]
    for n, part in enumerate(parts[1:], 1):
        if n in inner:
            path[-1] += "/" + part
        else:
            path.append(part)
    return tuple(path)


class Walker:
    """Finds objects by their paths.

    Example:
        >>> Walker([Node((Child(1, "m"),)), Node()]).walk(["m"])
        [0, 1]
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self._edges: dict[int, dict[str, int]] = {}

    def walk(self, path: Iterable[str]) -> list[int] | None:
        """Numbers of the nodes that a path goes through, from the root on; None if it ends."""
        steps = [0] if self._nodes else []
        for local_name in path:
            at = self._edges_of(steps[-1]).get(local_name) if steps else None
            if at is None:
                return None
            steps.append(at)
        return steps

    def _edges_of(self, n: int) -> dict[str, int]:
        found = self._edges.get(n)
        if found is None:
            found = self._edges[n] = {name: at for at, name in self._nodes[n].children}
        return found


def object_paths(nodes: Sequence[Node]) -> dict[int, Path]:
    """The shortest path to each object that edges lead to, as TensorFlow makes keys of it.

    Raises:
        UnsupportedError: One is longer than those of any program.
    """
    paths: dict[int, Path] = {0: ()} if nodes else {}
    queue = [0] if nodes else []
    for n in queue:  # grows while it is walked
        if len(paths[n]) > _MOST_DEPTH:
            raise UnsupportedError("the object graph is nested too deep",
                                   expected=f"at most {_MOST_DEPTH} objects in one another")
        for child in nodes[n].children:
            if child.node_id not in paths:
                paths[child.node_id] = (*paths[n], child.local_name)
                queue.append(child.node_id)
    return paths


def relabel(nodes: Sequence[Node], moves: Iterable[Move],
            rename: Callable[[str], str | None] = str) -> Relabelled:
    """A graph in which objects have other paths.

    Args:
        nodes: The graph.
        moves: Old and new path of every object that tensors are named after, also of those
            that stay.
        rename: The new name of an object, for those that no tensor is named after.

    Example:
        >>> nodes = [Node((Child(1, "model"),)), Node((Child(2, "w"),)), Node()]
        >>> relabel(nodes, [Move(("model", "w"), ("net", "w"))]).nodes[0].children
        (Child(node_id=1, local_name='net'),)
    """
    places = _Places(nodes)
    for move in moves:
        places.claim(move, 1)
    for n, path in object_paths(nodes).items():
        name = "/".join(path)
        new = rename(name) if path and n not in places.claims else name
        if new is not None and new != name:
            places.claim(Move(path, split_path(path, new)), 0)
    return places.graph(rename)


class _Places:
    """Which objects are to be where, as far as is known."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self._walker = Walker(nodes)
        # Of each object the places that it may be at, and how many tensors say so.
        self.claims: dict[int, dict[Path, int]] = {}
        self.moved: set[tuple[int, str]] = set()  # edges that the paths of moves go along
        self.places: dict[Path, None] = {(): None}

    def claim(self, move: Move, weight: int) -> None:
        """Take in a move; one along a path that isn't there says nothing."""
        steps = self._walker.walk(move.old)
        if steps is None:
            return
        if max(map(len, move)) > _MOST_DEPTH:
            raise UnsupportedError("the path of an object is too long", got=len(move.new),
                                   expected=f"at most {_MOST_DEPTH} parts")
        self.moved.update(zip(steps, move.old, strict=False))
        for depth in range(1, len(move.new) + 1):
            self.places[move.new[:depth]] = None
        start, end = _common_ends(move.old, move.new)
        shift = len(move.new) - len(move.old)
        if not shift:
            end = len(move.old)  # part for part
        for depth in range(start + 1):
            self._add(steps[depth], move.new[:depth], 0)
        for depth in range(len(move.old) - end, len(move.old) + 1):
            self._add(steps[depth], move.new[:depth + shift], weight)

    def _add(self, n: int, place: Path, weight: int) -> None:
        found = self.claims.setdefault(n, {})
        found[place] = found.get(place, 0) + weight

    def graph(self, rename: Callable[[str], str | None]) -> Relabelled:
        """The graph in which each object is at its place."""
        nodes = self.nodes
        self.claims.setdefault(0, {(): 0})
        # The first of the places that most tensors name.
        home = {n: max(places, key=lambda place: places[place])
                for n, places in self.claims.items()}
        held: dict[Path, list[int]] = {place: [] for place in self.places}
        for n in sorted(home, key=lambda n: -self.claims[n][home[n]]):
            held[home[n]].append(n)
        number = dict(zip(range(len(nodes)), range(len(nodes)), strict=True))
        at_place: dict[Path, int] = {}
        for place, owners in held.items():
            at_place[place] = owners[0] if owners else len(nodes) + len(at_place)
            number.update((n, at_place[place]) for n in owners)
        below: dict[Path, list[Path]] = {}
        for place in self.places:
            if place:
                below.setdefault(place[:-1], []).append(place)
        old_paths = object_paths(nodes)
        made: dict[int, Node] = {}
        for place, at in at_place.items():
            edges = {inner[-1]: at_place[inner] for inner in below.get(place, ())}
            made[at] = self._at_place(place, held[place], edges, number, old_paths, rename)
        for n, node in enumerate(nodes):
            if number[n] == n and n not in made:
                made[n] = _numbered(node, {child.local_name: number[child.node_id]
                                           for child in node.children}, node, number)
        return self._compact(made, at_place[()], number, old_paths)

    def _at_place(self, place: Path, owners: list[int], edges: dict[str, int],
                  number: dict[int, int], old_paths: dict[int, Path],
                  rename: Callable[[str], str | None]) -> Node:
        """The node of a place: what the objects there have, under the new names."""
        order: dict[str, int] = {}
        new_label = {target: label for label, target in reversed(edges.items())}
        for n in owners:
            for target, old in self.nodes[n].children:
                if (n, old) not in self.moved:
                    label = _second_name((*old_paths[n], old), place, rename
                                         ) if n in old_paths else old
                    if label not in edges:
                        order.setdefault(label, number[target])
                elif number[target] in new_label:  # where the edge stood that has a new name
                    found = new_label[number[target]]
                    order.setdefault(found, edges[found])
        order.update(edges)
        union = Node(attributes=tuple(attribute for n in owners
                                      for attribute in self.nodes[n].attributes),
                     slot_variables=tuple(slot for n in owners
                                          for slot in self.nodes[n].slot_variables),
                     registered_saver=next((saver for n in owners if (
                         saver := self.nodes[n].registered_saver) is not None), None),
                     has_checkpoint_values=self.nodes[0].has_checkpoint_values)
        return _numbered(union, order, union, number)

    def _compact(self, made: dict[int, Node], root: int, number: dict[int, int],
                 old_paths: dict[int, Path]) -> Relabelled:
        """Without what no path leads to any longer, numbered from the root on."""
        # What no edge led to before stays: it may be what is left after a tensor was lost.
        roots = [root, *(n for n in made if n < len(self.nodes) and n not in old_paths)]
        seen, queue = set(roots), roots
        for n in queue:
            for target in (*(child.node_id for child in made[n].children),
                           *(at for slot in made[n].slot_variables for at in (
                               slot.slot_variable_node_id, slot.original_variable_node_id))):
                if target not in seen:
                    seen.add(target)
                    queue.append(target)
        final = {n: at for at, n in enumerate([root, *sorted(seen - {root})])}
        result = [_numbered(made[n], {child.local_name: child.node_id
                                      for child in made[n].children}, made[n], final)
                  for n in final]
        filled = nodes_with_values(result)
        nodes = tuple(node if node.has_checkpoint_values is None else
                      node._replace(has_checkpoint_values=n in filled)
                      for n, node in enumerate(result))
        return Relabelled(nodes, {n: final[at] for n, at in number.items() if at in final},
                          tuple(path for n, path in old_paths.items() if number[n] not in final))


def _numbered(node: Node, edges: dict[str, int], slots: Node, number: Mapping[int, int]) -> Node:
    return node._replace(
        children=tuple(Child(number.get(at, at), label) for label, at in edges.items()),
        slot_variables=tuple(SlotVariable(number[original], name, number[at])
                             for original, name, at in slots.slot_variables))


def _second_name(path: Path, place: Path, rename: Callable[[str], str | None]) -> str:
    """What an edge is called that no tensor is named after."""
    name = "/".join(path)
    new = rename(name)
    if new is None or new == name:
        return path[-1]
    renamed = split_path(path, new)
    return renamed[-1] if renamed[:-1] == place else path[-1]
