"""The pickle inside a PyTorch file, as data: nothing of it is ever executed.

A pickle is a program for a small stack machine. What `torch.save` makes of a `state_dict` needs a
few of its opcodes and a handful of globals, and these are interpreted here, each as the value that
it stands for. Everything else is refused by name. What is written is one fixed sequence of
opcodes around names, shapes and numbers.

Source: pickletools of Python for the opcodes; torch/_utils.py and torch/_weights_only_unpickler.py
for what PyTorch itself takes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from tfckpt.errors import FormatError, TruncatedError, UnsupportedError
from tfckpt.format.dtypes import DType, dtype_named

__all__ = ["TORCH_NAMES", "Leaf", "StoredTensor", "contiguous_strides", "encode_state_dict",
           "flatten_state", "parse_torch_pickle"]

_STORAGES: Mapping[str, str] = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "BFloat16Storage": "bfloat16",
    "ComplexDoubleStorage": "complex128", "ComplexFloatStorage": "complex64",
}
_STORAGE_OF = {name: storage for storage, name in _STORAGES.items()}
# Of these there is no storage class; the dtype is an argument of its own.
_LATER = ("uint16", "uint32", "uint64", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz",
          "float8_e5m2fnuz")
TORCH_NAMES = frozenset({*_STORAGE_OF, *_LATER})
"""TensorFlow's names of the dtypes that PyTorch has; it calls them the same."""

_MOST_LEAVES = 1 << 20
_MOST_DEEP = 64


class StoredTensor(NamedTuple):
    """A tensor as a view of a storage.

    Attributes:
        storage: Name of the storage, a member of the archive.
        storage_bytes: Bytes that the pickle says it has.
        dtype: Its dtype.
        offset: Its first element in the storage, in elements.
        shape: Its dimensions.
        strides: Elements between neighbours along each of them.
    """

    storage: str
    storage_bytes: int
    dtype: DType
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Global(NamedTuple):
    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class _Storage(NamedTuple):
    dtype: DType | None  # None of bytes without a dtype
    name: str
    n_elements: int


Leaf = StoredTensor | bool | int | float | str | bytes


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of elements in C order.

    Example:
        >>> contiguous_strides((2, 3))
        (3, 1)
    """
    return tuple(math.prod(shape[axis + 1:]) for axis in range(len(shape)))


def parse_torch_pickle(data: bytes) -> Any:
    """The value that a pickle stands for: dicts, lists, tuples, numbers, text, `StoredTensor`.

    Raises:
        FormatError: It isn't a pickle, or a contradictory one.
        TruncatedError: It ends too early.
        UnsupportedError: It needs a class or function that isn't one of those of plain tensors.

    Example:
        >>> a = ("a", dtype_named("int8"), (2,), "0")
        >>> parse_torch_pickle(encode_state_dict([a]))["a"].shape
        (2,)
    """
    return _Machine(data).run()


class _Mark:
    pass


_MARK = _Mark()


class _Machine:
    """The stack machine, without any power over anything but its stack; methods are its steps."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        while True:
            start = self._at
            code = self.take(1)
            if code == b".":
                return self.pop()
            step = _STEPS.get(code)
            if step is None:
                raise UnsupportedError("the pickle has an opcode that plain tensors don't need",
                                       offset=start, got=repr(code))
            step(self)

    def take(self, n: int) -> bytes:
        data = self._data[self._at:self._at + n]
        if len(data) < n:
            raise TruncatedError("the pickle ends too early", offset=self._at,
                                 expected=f"{n} bytes", got=len(data))
        self._at += n
        return data

    def number(self, n: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(n), "little", signed=signed)

    def line(self) -> str:
        end = self._data.find(b"\n", self._at, self._at + 200)
        if end < 0:
            raise FormatError("the pickle names no global where it should", offset=self._at)
        line = self.take(end - self._at)
        self._at += 1
        return line.decode("ascii", "backslashreplace")

    def text(self, n: int) -> str:
        try:
            return self.take(n).decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise FormatError("a text in the pickle isn't UTF-8", offset=self._at) from None

    def pop(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise FormatError("the pickle takes a value that isn't there", offset=self._at)
        return self._stack.pop()

    def pop_to_mark(self) -> list[Any]:
        for at in range(len(self._stack) - 1, -1, -1):
            if self._stack[at] is _MARK:
                values = self._stack[at + 1:]
                del self._stack[at:]
                return values
        raise FormatError("the pickle takes values up to a mark that isn't there", offset=self._at)

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def remember(self, key: int) -> None:
        value = self.pop()
        self._stack.append(value)
        self.memo[key] = value

    def recall(self, key: int) -> None:
        if key not in self.memo:
            raise FormatError("the pickle recalls what it never remembered", offset=self._at)
        self._stack.append(self.memo[key])

    def tuple_of(self, n: int) -> None:
        values = [self.pop() for _ in range(n)]
        self._stack.append(tuple(reversed(values)))

    def append(self, values: list[Any]) -> None:
        target = self.pop()
        if not isinstance(target, list):
            raise FormatError("the pickle appends to what is no list", offset=self._at)
        target.extend(values)
        self._stack.append(target)

    def set_items(self, values: list[Any]) -> None:
        target = self.pop()
        if not isinstance(target, dict) or len(values) % 2:
            raise FormatError("the pickle sets items of what is no dictionary", offset=self._at)
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, (str, int)):
                raise UnsupportedError("a key of a dictionary is neither text nor a number",
                                       offset=self._at, got=type(key).__name__)
            target[key] = value
        self._stack.append(target)

    def make_global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise FormatError("the pickle names no global where it should", offset=self._at)
        found = _Global(module.replace("__builtin__", "builtins"), name)
        if str(found) not in _KNOWN:
            raise UnsupportedError(
                "the file holds more than tensors, and nothing in a file is ever run",
                got=str(found)[:100], offset=self._at,
                hint="Save only its tensors: torch.save(model.state_dict(), PATH).")
        self._stack.append(found)

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise FormatError("the pickle calls what is no function", offset=self._at)
        self._stack.append(_call(function, arguments, self._at))

    def build(self) -> None:
        self.pop()  # what a state_dict keeps beside its tensors: versions of modules
        target = self.pop()
        if not isinstance(target, dict):
            raise UnsupportedError("the pickle sets the state of an object", offset=self._at,
                                   got=type(target).__name__)
        self._stack.append(target)

    def persistent(self) -> None:
        value = self.pop()
        match value:
            case ("storage", _Global(_, kind), str(name), str(_), int(n_elements)):
                dtype = dtype_named(_STORAGES[kind]) if kind in _STORAGES else None
                if dtype is None and kind != "UntypedStorage":
                    raise UnsupportedError("the file has a storage of a kind that is unknown",
                                           offset=self._at, got=kind)
                self._stack.append(_Storage(dtype, name, n_elements))
            case _:
                raise FormatError("the pickle refers to what is no storage", offset=self._at)


_KNOWN = frozenset({
    "collections.OrderedDict", "torch.Size", "torch.device", "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter", "torch.storage.UntypedStorage", "_codecs.encode",
    *(f"torch.{storage}" for storage in _STORAGES), *(f"torch.{name}" for name in TORCH_NAMES)})


def _call(function: _Global, arguments: tuple[Any, ...], at: int) -> Any:
    """What a known function gives."""
    match function.name, arguments:
        case "OrderedDict", ():
            return {}
        case "OrderedDict", ([],):
            return {}
        case "Size", (tuple(sizes),):
            return sizes
        case "Size", (list(sizes),):
            return tuple(sizes)
        case "device", (str(kind), *_):
            return kind
        case "encode", (str(text), str(coding)) if coding.replace("-", "") == "latin1":
            try:
                return text.encode("latin-1")
            except UnicodeEncodeError:
                raise FormatError("bytes in the pickle aren't bytes", offset=at) from None
        case "_rebuild_parameter", (StoredTensor() as tensor, *_):
            return tensor
        case ("_rebuild_tensor" | "_rebuild_tensor_v2"), (
                _Storage(DType() as dtype) as storage, int(start), tuple(sizes), tuple(steps), *_):
            return _tensor(storage, dtype, start, sizes, steps, at)
        case "_rebuild_tensor_v3", (_Storage(None) as storage, int(start), tuple(sizes),
                                    tuple(steps), _, _, _Global(_, kind), *_
                                    ) if kind in TORCH_NAMES:
            return _tensor(storage, dtype_named(kind), start, sizes, steps, at)
    raise UnsupportedError("the pickle calls a function in a way that plain tensors don't need",
                           offset=at, got=str(function))


def _tensor(storage: _Storage, dtype: DType, start: int, shape: tuple[Any, ...],
            strides: tuple[Any, ...], at: int) -> StoredTensor:
    numbers = (start, storage.n_elements, *shape, *strides)
    if len(shape) != len(strides) or any(
            type(n) is not int or not 0 <= n < 1 << 62 for n in numbers):
        raise FormatError("a tensor's shape and strides contradict each other", offset=at)
    size = dtype.size or 1
    n_bytes = storage.n_elements * (1 if storage.dtype is None else size)
    last = start + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if math.prod(shape) and (last + 1) * size > n_bytes:
        raise FormatError("a tensor reaches beyond its storage", offset=at,
                          expected=f"{n_bytes} bytes at most", got=(last + 1) * size)
    return StoredTensor(storage.name, n_bytes, dtype, start, shape, strides)


def _long(machine: _Machine) -> None:
    machine.push(machine.number(machine.number(1), signed=True))


_Step = Callable[[_Machine], object]
_STEPS: dict[bytes, _Step] = {
    b"\x80": lambda m: m.number(1),  # PROTO
    b"\x95": lambda m: m.number(8),  # FRAME
    b"(": lambda m: m.push(_MARK),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"K": lambda m: m.push(m.number(1)),  # BININT1
    b"M": lambda m: m.push(m.number(2)),  # BININT2
    b"J": lambda m: m.push(m.number(4, signed=True)),  # BININT
    b"\x8a": _long,  # LONG1
    b"G": lambda m: m.push(struct.unpack(">d", m.take(8))[0]),  # BINFLOAT
    b"X": lambda m: m.push(m.text(m.number(4))),  # BINUNICODE
    b"\x8c": lambda m: m.push(m.text(m.number(1))),  # SHORT_BINUNICODE
    b"C": lambda m: m.push(m.take(m.number(1))),  # SHORT_BINBYTES
    b"B": lambda m: m.push(m.take(m.number(4))),  # BINBYTES
    b"}": lambda m: m.push({}),
    b"]": lambda m: m.push([]),
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push(tuple(m.pop_to_mark())),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"a": lambda m: m.append([m.pop()]),
    b"e": lambda m: m.append(m.pop_to_mark()),
    b"s": lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    b"u": lambda m: m.set_items(m.pop_to_mark()),
    b"c": lambda m: m.make_global(m.line(), m.line()),
    b"\x93": lambda m: m.make_global(*[m.pop(), m.pop()][::-1]),  # STACK_GLOBAL
    b"R": lambda m: m.reduce(),
    b"b": lambda m: m.build(),
    b"Q": lambda m: m.persistent(),
    b"q": lambda m: m.remember(m.number(1)),  # BINPUT
    b"r": lambda m: m.remember(m.number(4)),  # LONG_BINPUT
    b"\x94": lambda m: m.remember(len(m.memo)),  # MEMOIZE
    b"h": lambda m: m.recall(m.number(1)),  # BINGET
    b"j": lambda m: m.recall(m.number(4)),  # LONG_BINGET
    b"0": lambda m: m.pop(),  # POP
}


def flatten_state(value: Any) -> tuple[dict[str, Leaf], list[str]]:
    """Every leaf of nested dicts and lists by the names on the way, joined by slashes.

    Returns:
        The leaves, and the names of those that hold nothing or no tensor.

    Raises:
        FormatError: It is too deep, too large, or two leaves have one name.

    Example:
        >>> flatten_state({"net": {"w": 1.5}, "betas": (0.9, 1), "more": None})
        ({'net/w': 1.5, 'betas/0': 0.9, 'betas/1': 1}, ['more'])
    """
    leaves: dict[str, Leaf] = {}
    nothing: list[str] = []
    todo: list[tuple[str, Any, int]] = [("", value, 0)]
    count = 0
    while todo:
        name, item, depth = todo.pop()
        count += 1
        if depth > _MOST_DEEP or count > _MOST_LEAVES:
            raise FormatError("the file's dictionaries are deeper or larger than any model's")
        items: Iterable[tuple[Any, Any]]
        if isinstance(item, dict):
            items = item.items()
        elif isinstance(item, (list, tuple)) and not isinstance(item, (StoredTensor, _Storage,
                                                                       _Global)):
            items = enumerate(item)
        elif isinstance(item, (StoredTensor, bool, int, float, str, bytes)) and name:
            if name in leaves:
                raise FormatError("two values of the file have one name", tensor=name)
            leaves[name] = item
            continue
        else:
            nothing.append(name)
            continue
        todo.extend((f"{name}/{key}" if name else str(key), inner, depth + 1)
                    for key, inner in reversed(list(items)))
    return leaves, nothing


def encode_state_dict(tensors: Iterable[tuple[str, DType, tuple[int, ...], str]]) -> bytes:
    """The pickle of an OrderedDict of tensors, each with a storage of its own.

    Args:
        tensors: Name, dtype, shape, and the name of the storage.

    Raises:
        UnsupportedError: PyTorch has no such dtype, or the name isn't valid Unicode.
    """
    parts = [b"\x80\x02", _ORDERED, b"("]
    for name, dtype, shape, storage in tensors:
        if dtype.name not in TORCH_NAMES:
            raise UnsupportedError("PyTorch has no such dtype", tensor=name, got=dtype.name)
        kind = _STORAGE_OF.get(dtype.name)
        n = math.prod(shape)
        parts += [
            _encode_text(name), b"ctorch._utils\n_rebuild_tensor_",
            b"v2\n" if kind else b"v3\n", b"((", _encode_text("storage"),
            f"ctorch\n{kind}\n".encode() if kind else b"ctorch.storage\nUntypedStorage\n",
            _encode_text(storage), _encode_text("cpu"),
            _encode_int(n if kind else n * (dtype.size or 1)), b"tQ", _encode_int(0),
            _encode_sizes(shape), _encode_sizes(contiguous_strides(shape)), b"\x89", _ORDERED,
            b"" if kind else f"ctorch\n{dtype.name}\n".encode(), b"tR"]
    return b"".join([*parts, b"u."])


_ORDERED = b"ccollections\nOrderedDict\n)R"


def _encode_text(text: str) -> bytes:
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        raise UnsupportedError("a PyTorch file can't hold a name that isn't valid Unicode",
                               tensor=text) from None
    return b"X" + len(data).to_bytes(4, "little") + data


def _encode_int(value: int) -> bytes:
    if value < 1 << 8:
        return b"K" + value.to_bytes(1, "little")
    if value < 1 << 31:
        return b"J" + value.to_bytes(4, "little")
    return b"\x8a\x09" + value.to_bytes(9, "little")


def _encode_sizes(sizes: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_encode_int, sizes)) + b"t"
