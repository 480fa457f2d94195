"""The object graph: what an object-based (TF2) checkpoint says of its own structure.

It is one scalar string tensor, `OBJECT_GRAPH_KEY`, that holds a ``TrackableObjectGraph``:
nodes that refer to each other by number, node 0 being the root. Edges have names, may form
circles, and several may lead to one node. Restoring walks these names; the keys of tensors
only say where the bytes are (see `objectkeys`).

    ================== ====================================================
    field of a node    meaning
    ================== ====================================================
    1 children         {1 node_id, 2 local_name}
    2 attributes       {1 name, 2 full_name, 3 checkpoint_key, 4 optional_restore}
    3 slot_variables   {1 original_variable_node_id, 2 slot_name, 3 slot_variable_node_id}
    4 registered_saver {1 name, 2 object_name}
    5 has_checkpoint_values   {1 value}; absent in older files
    ================== ====================================================

Source: core/protobuf/trackable_object_graph.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tfckpt.errors import FormatError
from tfckpt.format import proto
from tfckpt.format.proto import encode_bytes, encode_int
from tfckpt.format.varint import encode_varint, encode_varints

__all__ = [
    "OBJECT_GRAPH_KEY",
    "VARIABLE_VALUE",
    "Attribute",
    "Child",
    "Node",
    "SlotVariable",
    "encode_node",
    "encode_object_graph",
    "encode_variable_nodes",
    "nodes_with_values",
    "parse_object_graph",
    "with_ancestors",
]

OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
VARIABLE_VALUE = "VARIABLE_VALUE"


class Child(NamedTuple):
    """An edge to another node."""

    node_id: int
    local_name: str


class Attribute(NamedTuple):
    """A value that a node stores.

    Attributes:
        name: Its name among the node's values; `VARIABLE_VALUE` for a variable.
        full_name: The variable's TF1 name; often empty, and often not unique.
        checkpoint_key: Key of the tensor; for lookup tables only the start of two keys.
        optional_restore: Whether a program without this value is still consumed.
    """

    name: str
    full_name: str = ""
    checkpoint_key: str = ""
    optional_restore: bool = False


class SlotVariable(NamedTuple):
    """A variable that an optimizer (the node that lists it) keeps for another variable."""

    original_variable_node_id: int
    slot_name: str
    slot_variable_node_id: int


class Node(NamedTuple):
    """One object of the saved program.

    Attributes:
        children: Edges to the objects it holds, in stored order.
        attributes: Values it stores itself.
        slot_variables: Filled for optimizers only.
        registered_saver: Name and object name, if a saver of the user's own wrote it.
        has_checkpoint_values: Whether it or anything below stores a value; None in files
            from before TensorFlow 2.6 or so, which don't say.
    """

    children: tuple[Child, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    slot_variables: tuple[SlotVariable, ...] = ()
    registered_saver: tuple[str, str] | None = None
    has_checkpoint_values: bool | None = None


def parse_object_graph(data: bytes) -> tuple[Node, ...]:
    """Parse a ``TrackableObjectGraph``.

    Raises:
        FormatError: The bytes aren't one, or refer to a node that isn't there.

    Example:
        >>> parse_object_graph(bytes.fromhex("0a0708011203766172".replace("0a07", "0a090a07"))
        ...                    + bytes.fromhex("0a00"))[0].children
        (Child(node_id=1, local_name='var'),)
    """
    nodes = tuple(_parse_node(field.as_bytes()) for field in proto.parse_fields(data)
                  if field.number == 1)
    for node in nodes:
        targets = [child.node_id for child in node.children]
        for slot in node.slot_variables:
            targets += [slot.original_variable_node_id, slot.slot_variable_node_id]
        for target in targets:
            if not 0 <= target < len(nodes):
                raise FormatError("the object graph refers to a node that isn't there",
                                  expected=f"0 to {len(nodes) - 1}", got=target)
    return nodes


def _parse_node(data: bytes) -> Node:
    children: list[Child] = []
    attributes: list[Attribute] = []
    slots: list[SlotVariable] = []
    saver: tuple[str, str] | None = None
    has_values: bool | None = None
    for number, _, value in proto.parse_fields(data):
        if isinstance(value, int):
            raise FormatError("the object graph has a number where a message belongs",
                              got=f"field {number}")
        if number == 1:
            children.append(_parse_child(value))
        elif number == 2:
            attributes.append(_parse_attribute(value))
        elif number == 3:
            slots.append(_parse_slot(value))
        elif number == 4:
            texts = {f.number: f.as_text() for f in proto.parse_fields(value)}
            saver = texts.get(1, ""), texts.get(2, "")
        elif number == 5:
            has_values = any(f.as_int() for f in proto.parse_fields(value) if f.number == 1)
    return Node(tuple(children), tuple(attributes), tuple(slots), saver, has_values)


def _parse_child(data: bytes) -> Child:
    node_id, name = 0, ""
    for field in proto.parse_fields(data):
        if field.number == 1:
            node_id = proto.signed(field.as_int())
        elif field.number == 2:
            name = field.as_text()
    return Child(node_id, name)


def _parse_attribute(data: bytes) -> Attribute:
    texts = {1: "", 2: "", 3: ""}
    optional = False
    for field in proto.parse_fields(data):
        if field.number in texts:
            texts[field.number] = field.as_text()
        elif field.number == 4:
            optional = bool(field.as_int())
    return Attribute(texts[1], texts[2], texts[3], optional)


def _parse_slot(data: bytes) -> SlotVariable:
    original = slot = 0
    name = ""
    for field in proto.parse_fields(data):
        if field.number == 1:
            original = proto.signed(field.as_int())
        elif field.number == 2:
            name = field.as_text()
        elif field.number == 3:
            slot = proto.signed(field.as_int())
    return SlotVariable(original, name, slot)


def _text(tag: bytes, value: str) -> bytes:
    """A text field of this tag; nothing for no text."""
    if not value:
        return b""
    try:
        data = value.encode("utf-8")
    except UnicodeEncodeError:
        raise FormatError("a name in an object graph must be valid Unicode", got=repr(value),
                          hint="Object-based checkpoints can't hold such a name.") from None
    return tag + encode_varint(len(data)) + data


def encode_object_graph(nodes: Iterable[Node]) -> bytes:
    """Encode a ``TrackableObjectGraph``, byte for byte as TensorFlow 2.21 does.

    Raises:
        FormatError: A name isn't valid Unicode, which the message can't hold.

    Example:
        >>> encode_object_graph([Node(children=(Child(1, "var"),)), Node()]).hex()
        '0a090a07080112037661720a00'
    """
    return b"".join([encode_node(node) for node in nodes])


def encode_node(node: Node, numbers: Sequence[int] = (), names: Sequence[str] = ()) -> bytes:
    """Encode one node as it stands in a graph; nodes follow one another in the graph's bytes.

    Args:
        node: The node.
        numbers: Node numbers of more children: there may be 100,000 of them.
        names: Their local names.
    """
    return encode_bytes(1, _encode_children(numbers, names) + _encode_node(node))


def nodes_with_values(nodes: Sequence[Node]) -> set[int]:
    """Numbers of the nodes that store a value or have one below them.

    Example:
        >>> sorted(nodes_with_values([Node((Child(1, "v"), Child(2, "empty"))),
        ...                           Node(attributes=(Attribute(VARIABLE_VALUE),)), Node()]))
        [0, 1]
    """
    parents: dict[int, list[int]] = {}
    for n, node in enumerate(nodes):
        for child in node.children:
            parents.setdefault(child.node_id, []).append(n)
    return with_ancestors({n for n, node in enumerate(nodes) if node.attributes
                           or node.slot_variables or node.registered_saver}, parents)


def with_ancestors(numbers: set[int], parents: dict[int, list[int]]) -> set[int]:
    """Some nodes and all above them.

    Example:
        >>> sorted(with_ancestors({3}, {3: [1], 1: [0], 2: [0]}))
        [0, 1, 3]
    """
    found, queue = set(numbers), list(numbers)
    while queue:
        for parent in parents.get(queue.pop(), ()):
            if parent not in found:
                found.add(parent)
                queue.append(parent)
    return found


_VARIABLE_NAME = _text(b"\x0a", VARIABLE_VALUE)
_HAS_VALUES = b"\x2a\x02\x08\x01"


def _beginning(n_bytes: int) -> bytes:
    """What a variable's node begins with, by the bytes of name and key together."""
    attribute = len(_VARIABLE_NAME) + n_bytes + 4
    length = encode_varint(attribute)
    return (b"\x0a" + encode_varint(1 + len(length) + attribute + len(_HAS_VALUES))
            + b"\x12" + length + _VARIABLE_NAME)


# For lengths that take one byte. Text, one character a byte, as it is put together faster.
_BEGINNINGS = [_beginning(n).decode("latin-1") for n in range(2 * 127 + 1)]
_FULL_NAMES = [f"\x12{chr(n)}" for n in range(128)]
_KEYS = [f"\x1a{chr(n)}" for n in range(128)]
_CHILDREN = [f"\x0a{chr(n + 3)}\x08" for n in range(125)]
_END = _HAS_VALUES.decode("latin-1")


def encode_variable_nodes(full_names: Sequence[str], checkpoint_keys: Sequence[str]) -> bytes:
    """Encode the nodes of variables: `encode_node` of each, in a fraction of the time.

    Nearly every node of a big graph is one.

    Example:
        >>> node = Node(attributes=(Attribute(VARIABLE_VALUE, "a", "k"),),
        ...             has_checkpoint_values=True)
        >>> encode_variable_nodes(["a", "a"], ["k", "k"]) == 2 * encode_node(node)
        True
    """
    return "".join([
        f"{_BEGINNINGS[len(name) + len(key)]}{_FULL_NAMES[len(name)]}{name}{_KEYS[len(key)]}{key}"
        f"{_END}" if 0 < len(name) < 128 > len(key) > 0 and name.isascii() and key.isascii()
        else _encode_variable_node(name, key)
        for name, key in zip(full_names, checkpoint_keys, strict=True)]).encode("latin-1")


def _encode_variable_node(full_name: str, checkpoint_key: str) -> str:
    attribute = (_VARIABLE_NAME + _text(b"\x12", full_name) + _text(b"\x1a", checkpoint_key))
    return encode_bytes(1, encode_bytes(2, attribute) + _HAS_VALUES).decode("latin-1")


def _encode_children(numbers: Sequence[int], names: Sequence[str]) -> bytes:
    if numbers and min(numbers) > 0 and "".join(names).isascii() and all(names):
        sizes = list(map(len, names))
        if max(sizes) < 100:  # every length is one byte
            return "".join([
                f"{_CHILDREN[len(number) + size]}{number}{_FULL_NAMES[size]}{name}"
                for number, size, name in zip(encode_varints(numbers), sizes, names, strict=True)
            ]).encode("latin-1")
    return b"".join([encode_bytes(1, encode_int(1, number) + _text(b"\x12", name))
                     for number, name in zip(numbers, names, strict=True)])


def _encode_node(node: Node) -> bytes:
    out = [_encode_children([child.node_id for child in node.children],
                            [child.local_name for child in node.children])]
    for name, full_name, key, optional in node.attributes:
        out.append(encode_bytes(2, _text(b"\x0a", name) + _text(b"\x12", full_name)
                                + _text(b"\x1a", key) + encode_int(4, optional)))
    out += [encode_bytes(3, encode_int(1, original) + _text(b"\x12", name)
                         + encode_int(3, slot))
            for original, name, slot in node.slot_variables]
    if node.registered_saver is not None:
        name, object_name = node.registered_saver
        out.append(encode_bytes(4, _text(b"\x0a", name) + _text(b"\x12", object_name)))
    if node.has_checkpoint_values is not None:
        out.append(_HAS_VALUES if node.has_checkpoint_values else b"\x2a\x00")
    return b"".join(out)
