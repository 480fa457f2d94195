"""What is fuzzed: for each parser and job, bytes to start from and what is done with any bytes.

Used by tools/fuzz.py, by the tests beside this file and by atheris. A target returns or raises
`CheckpointError`; anything else is a finding.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import tfckpt
from tfckpt.convert.ema import plan_ema
from tfckpt.convert.mapfiles import read_map
from tfckpt.convert.relayout import plan_optimizer
from tfckpt.convert.rename import plan_rename
from tfckpt.convert.reset import plan_reset
from tfckpt.convert.reshard import plan_reshard
from tfckpt.convert.resolving import resolve
from tfckpt.convert.strip import plan_strip
from tfckpt.convert.tf1_to_tf2 import plan_tf1_to_tf2
from tfckpt.convert.tf2_to_tf1 import plan_tf2_to_tf1
from tfckpt.core.matching import Side, match, side_of_source
from tfckpt.core.summary import summarize
from tfckpt.core.verify import verify
from tfckpt.errors import CheckpointError
from tfckpt.format import (
    block,
    bundle,
    npy,
    objectgraph,
    orderedcode,
    proto,
    safetensors,
    savedslices,
    slices,
    snappy,
    sniff,
    state,
    strings,
    table,
    tensorvalues,
    torchpickle,
    variants,
    varint,
    versions,
)
from tfckpt.format.dtypes import DTYPES, dtype_named
from tfckpt.format.runs import parse_heads, parse_numbers, parse_runs
from tfckpt.keras.oldconfig import colours_of, read_config
from tfckpt.keras.saved import Saved
from tfckpt.train.vocabulary import VocabInfo, remap

__all__ = ["TARGETS", "Target", "run"]

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDENS = ROOT / "tests" / "goldens"
BUNDLES = ["tf1.15/names", "tf1.15/dtypes", "tf1.15/strings", "tf1.15/sliced", "tf2.21/vars-1",
           "tf2.21/nested", "tf2.21/state"]
_FOLDER = Path("/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir())


class Target(NamedTuple):
    """Something that takes bytes of a file.

    Attributes:
        seeds: What they look like.
        run: Takes any; raises nothing but CheckpointError.
        rows: Whether they are a table whose rows may be changed under right checksums.
    """

    seeds: Callable[[], list[bytes]]
    run: Callable[[bytes], object]
    rows: bool = False


def run(name: str, data: bytes) -> bool:
    """Give bytes to a target.

    Returns:
        Whether it made something of them.

    Raises:
        Exception: A finding.
    """
    try:
        TARGETS[name].run(data)
    except CheckpointError:
        return False
    return True


def _indexes() -> list[bytes]:
    return [(GOLDENS / f"{name}.index").read_bytes() for name in BUNDLES]


def _rows() -> list[tuple[bytes, bytes]]:
    return [row for data in _indexes() for row in table.parse_table(data)]


def _entries() -> list[bytes]:
    return [value for key, value in _rows() if key]


def _blocks() -> list[bytes]:
    found = []
    for data in _indexes():
        opened = table.table_of(data)
        found += [opened.read_block(handle) for handle in opened.handles()]
    return found


def _v1() -> list[bytes]:
    return [(GOLDENS / "tf1.15" / "v1.ckpt").read_bytes()]


def _regions(dtype: str) -> list[bytes]:
    found = []
    for name in BUNDLES:
        with tfckpt.open(GOLDENS / name) as source:
            found += [source.read_bytes(key) for key, entry in source.index.items()
                      if entry.dtype.name == dtype]
    return found


def _graphs() -> list[bytes]:
    return [strings.parse_strings(region, 1).elements[0] for region in _regions("string")
            if b"VARIABLE_VALUE" in region]


def _strings(data: bytes) -> None:
    strings.parse_strings(data[1:], data[0] if data else 0)


def _variants(data: bytes) -> None:
    variants.parse_variants(data[1:], data[0] if data else 0)


def _values(data: bytes) -> None:
    if len(data) > 2:
        tensorvalues.parse_values(data[2:], DTYPES[data[0] % len(DTYPES)], data[1])


def _ordered(data: bytes) -> None:
    for parse in (orderedcode.parse_string, orderedcode.parse_unsigned, orderedcode.parse_signed):
        try:
            parse(data)
        except CheckpointError:
            continue


def _entry(data: bytes) -> None:
    parser = bundle.EntryParser()
    parser.parse_head(data)
    entry = parser.parse(data)
    for part in entry.slices:
        slices.check_slice(slices.parse_slice(part), entry.shape)


def _table(data: bytes) -> None:
    opened = table.table_of(data)
    for key in (b"", b"a", b"model", b"\xff"):
        opened.get(key)
        opened.seek(key)
    opened.columns()


def _runs(data: bytes) -> None:
    """Blocks at once, also where the plain parser would be quicker; both must agree."""
    columns = parse_runs([data])
    if columns is not None:
        rows = block.parse_block(data, block.KeyBudget(1 << 30))
        assert list(zip(columns.keys, columns.values, strict=True)) == rows
        parse_heads(columns.values)
        parse_numbers(columns.values)


def _sniff(data: bytes) -> None:
    sniff.sniff("model.bin", data[:sniff.HEAD_SIZE], data[-64:])


def _pickles() -> list[bytes]:
    float32, uint16 = dtype_named("float32"), dtype_named("uint16")
    own = torchpickle.encode_state_dict([("a", float32, (2, 3), "0"), ("b", uint16, (), "1")])
    # A state_dict's _metadata, a number, a nested list and text; protocol 4's opcodes.
    more = (b"\x80\x04\x95" + bytes(8) + b"}\x94(\x8c\x05epoch\x94K\x03\x8c\x05betas"
            b"]\x94(G?\xec\xcc\xcc\xcc\xcc\xcc\xcd\x88eX\x01\0\0\0c\x8c\x0bcollections\x8c\x0b"
            b"OrderedDict\x93)R}\x8c\x09_metadataNsbu.")
    return [own, more]


def _torch_pickle(data: bytes) -> None:
    torchpickle.flatten_state(torchpickle.parse_torch_pickle(data))


def _text(data: bytes) -> None:
    slices.parse_slice_spec(data.decode("latin-1"))


def _scratch(name: str, data: bytes) -> Path:
    """A file of these bytes."""
    path = _FOLDER / f"tfckpt-fuzz-{os.getpid()}-{name}"
    path.write_bytes(data)
    return path


def _vocabulary(data: bytes) -> None:
    """Any bytes as the old vocabulary, and as the new one."""
    file, other = _scratch("words", data), _scratch("others", b"b\na\n")
    for new, old in ((other, file), (file, other)):
        info = VocabInfo(new, 2, num_oov_buckets=1, old_vocab=old)
        try:
            remap(np.zeros((4, 1), np.float32), info, (3, 1), dtype_named("float32"))
        except CheckpointError:
            continue


def _old_configs() -> list[bytes]:
    dense = {"class_name": "Dense", "config": {"name": "a", "units": 2, "activation": "relu"}}
    start = {"class_name": "InputLayer", "config": {"name": "i"}, "name": "i", "inbound_nodes": []}
    inner = {"class_name": "Sequential", "name": "s",
             "config": {"name": "s", "layers": [{**dense, "name": "b"}]},
             "inbound_nodes": [[["a", 0, 0, {}]]]}
    add = {"class_name": "Add", "config": {"name": "c"}, "name": "c",
           "inbound_nodes": [[["a", 0, 0, {}], ["s", 1, 0, {"mask": ["a", 0, 0]}]]]}
    layers = [start, {**dense, "name": "a", "inbound_nodes": [[["i", 0, 0, {}]]]}, inner, add]
    functional = {"class_name": "Functional", "config": {
        "name": "m", "layers": layers, "input_layers": [["i", 0, 0]],
        "output_layers": [["c", 0, 0]]}}
    return [json.dumps(model).encode() for model in (functional, {
        "class_name": "Sequential", "config": {"name": "m", "layers": [dense, dense]}})]


def _old_config(data: bytes) -> None:
    """A config beside a checkpoint, which has as many layers, or layers of the same names."""
    config = read_config(_scratch("config", data))
    layers = config["config"]["layers"][:1000]
    numbered, named = Saved("model"), Saved("model", by_name=True)
    numbered.every_layer = [Saved(str(n)) for n in range(len(layers))]
    named.every_layer = [Saved(name) for name in "abcis"]
    for root in (numbered, named):
        try:
            colours_of(config, root)
        except CheckpointError:
            continue


class _Bundle:
    """A checkpoint in a folder of its own, one file of which is any bytes."""

    def __init__(self, name: str, ending: str) -> None:
        self.name, self.ending = name, ending
        self.folder: Path | None = None

    def seeds(self) -> list[bytes]:
        return [(GOLDENS / (self.name + self.ending)).read_bytes()]

    def run(self, data: bytes) -> None:
        if self.folder is None:
            # One for each process; the system clears it away.
            self.folder = Path(tempfile.mkdtemp(prefix="tfckpt-fuzz-", dir=_FOLDER))
            golden = GOLDENS / self.name
            for file in golden.parent.glob(golden.name + ".*"):
                (self.folder / ("m" + file.name[len(golden.name):])).write_bytes(file.read_bytes())
        (self.folder / ("m" + self.ending)).write_bytes(data)
        _use(self.folder / ("m.ckpt" if self.ending == ".ckpt" else "m"))


def _use(path: Path) -> None:
    """Everything that a user may do to a file that came by mail."""
    with tfckpt.open(path) as source:
        for key in list(source):
            try:
                entry = source.index[key]
                for _, part in source.parts(entry):
                    source.parts(part)
                source.read_bytes(key)
                source[key]
            except CheckpointError:
                continue
        for job in (lambda: source.object_graph, lambda: summarize(source),
                    lambda: list(source.index.heads()), lambda: verify(source),
                    lambda: plan_tf1_to_tf2(source), lambda: plan_tf2_to_tf1(source),
                    lambda: plan_reshard(source, max_shard_size=64),
                    lambda: plan_strip(source), lambda: plan_ema(source, "use"),
                    lambda: plan_reset(source, step=1),
                    lambda: plan_optimizer(source, "keras3", given={"iterations": 1}),
                    lambda: plan_rename(source, lambda name: "p/" + name.replace("e", "x")),
                    lambda: match(side_of_source(source), Side("wanted", {
                        "net/dense/kernel": ("float32", (3, 4)), "a": ("", ())}))):
            try:
                job()
            except CheckpointError:
                continue


def _state_file(data: bytes) -> None:
    """A folder whose state file is any bytes."""
    folder = _FOLDER / f"tfckpt-fuzz-state-{os.getpid()}"
    if not folder.exists():
        folder.mkdir()
        (folder / "m.index").write_bytes(_indexes()[0])
    (folder / "checkpoint").write_bytes(data)
    tfckpt.open(folder)


def _map(data: bytes) -> None:
    """A map between frameworks, held against names in both directions."""
    file = _FOLDER / f"tfckpt-fuzz-{os.getpid()}.json"
    file.write_bytes(data)
    name_map = read_map(file)
    for one in (name_map, name_map.inverted):
        resolve(one, ["a/0/kernel", "a/1/q", "a/1/k", "a/1/v", "0.weight", "m.0.weight", "step"])


class _File:
    """A file of another format, of any bytes."""

    def __init__(self, ending: str) -> None:
        self.ending = ending
        self.folder: Path | None = None

    def seeds(self) -> list[bytes]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "m" + self.ending)
            tfckpt.convert(GOLDENS / "tf1.15/names", path)
            return [path.read_bytes()]

    def run(self, data: bytes) -> None:
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="tfckpt-fuzz-", dir=_FOLDER))
        path = self.folder / ("m" + self.ending)
        path.write_bytes(data)
        with tfckpt.open(path) as source:
            for key, entry in source.index.items():
                try:
                    source[key]
                    for _ in source.stream(entry):
                        pass
                except CheckpointError:
                    continue


def _file(ending: str) -> Target:
    files = _File(ending)
    return Target(files.seeds, files.run)


def _bundle(name: str, ending: str, *, rows: bool = False) -> Target:
    files = _Bundle(name, ending)
    return Target(files.seeds, files.run, rows)


def _prefixed(seeds: Iterable[bytes], *heads: bytes) -> list[bytes]:
    return [head + seed for seed in seeds for head in heads]


TARGETS: dict[str, Target] = {
    "varint": Target(lambda: [b"\xac\x02", b"\xff" * 9 + b"\x01"], varint.parse_varint),
    "proto": Target(_entries, lambda data: list(proto.parse_fields(data))),
    "versions": Target(lambda: [b"\x08\x01", b"\x08\x01\x10\x01\x18\x05"],
                       lambda data: versions.check_versions(versions.parse_versions(data))),
    "header": Target(lambda: [b"\x08\x01\x1a\x02\x08\x01"], bundle.parse_header),
    "entry": Target(_entries, _entry),
    "block": Target(_blocks, block.parse_block),
    "seek": Target(_blocks, lambda data: block.seek_row(data, b"model")),
    "runs": Target(_blocks, _runs),
    "table": Target(_indexes, _table),
    "table rows": Target(_indexes, _table, rows=True),
    "snappy": Target(lambda: [b"\x05\x10abcde", b"\x40\x04ab\xfe\x02\x00"], snappy.decompress),
    "strings": Target(lambda: _prefixed(_regions("string"), b"\1", b"\4"), _strings),
    "variants": Target(lambda: _prefixed(_regions("variant"), b"\0", b"\1", b"\2", b"\3",
                                           b"\4"), _variants),
    "object graph": Target(_graphs, objectgraph.parse_object_graph),
    "state": Target(lambda: [b'model_checkpoint_path: "m-1"\nall_model_checkpoint_paths: "m-1"\n'
                             b"last_preserved_timestamp: 1.5\n"], state.parse_state),
    "state file": Target(lambda: [b'model_checkpoint_path: "m"\n',
                                  b'model_checkpoint_path: "../m"\n',
                                  b'model_checkpoint_path: "/etc/passwd"\n'], _state_file),
    "map": Target(lambda: [b'{"tfckpt-map": 1, "name": "m", "here": "A", "there": "B", "rules": ['
                           b'{"here": "a/{n}/kernel", "there": "[m.]{n-1}.weight", "tied": "t{n}"},'
                           b'{"here": ["{x}/q", "{x}/k", "{x}/v"], "there": "{x:02}",'
                           b' "layout": "qkv"}], "constants": [{"there": "{*y}", "for": "{*y}/q",'
                           b' "value": 1, "dtype": "int64"}], "left_out": [{"here": "step",'
                           b' "why": "no"}], "tables": {"block": {"1a": "0"}}}'], _map),
    "slice": Target(lambda: [bytes.fromhex("0a04080410030a00")], slices.parse_slice),
    "slice key": Target(lambda: [bytes.fromhex("0070766172000101028483807f")],
                        slices.parse_slice_key),
    "slice text": Target(lambda: [b"10 4 4,3:-"], _text),
    "ordered code": Target(lambda: [b"a\0\xff\0\1", b"\xc0\x46", b"\2\1\2"], _ordered),
    "V1 list": Target(lambda: [table.parse_table(_v1()[0])[0][1]], savedslices.parse_meta),
    "V1 row": Target(lambda: [table.parse_table(_v1()[0])[1][1]], savedslices.parse_saved_slice),
    "V1 values": Target(lambda: [bytes([n, 2]) + bytes.fromhex("3a0bfeffffffffffffffff0105")
                                 for n in range(len(DTYPES))], _values),
    "sniff": Target(lambda: [*_indexes(), *_v1(), b"PK\3\4", b"\x89HDF\r\n\x1a\n"], _sniff),
    "safetensors": Target(
        lambda: [b'{"a": {"dtype": "I8", "shape": [2], "data_offsets": [0, 2]}}',
                 b'{"__metadata__": {"step": "7"}, "a": {"dtype": "F4", "shape": [4],'
                 b' "data_offsets": [0, 2]}}'],
        lambda data: safetensors.parse_header(data, 2)),
    "shard index": Target(lambda: [b'{"metadata": {}, "weight_map": {"a": "b.safetensors"}}'],
                          safetensors.parse_shard_index),
    "safetensors file": _file(".safetensors"),
    "npz file": _file(".npz"),
    "torch file": _file(".pt"),
    "msgpack file": _file(".msgpack"),
    "torch pickle": Target(_pickles, _torch_pickle),
    "npy header": Target(lambda: [npy.encode_npy_header("<f4", (2, 3))], npy.parse_npy_header),
    "vocabulary file": Target(lambda: [b"a\nb\n", b"a\r\nb c\r\n\xff"], _vocabulary),
    "old config file": Target(_old_configs, _old_config),
    "V1 file": Target(_v1, lambda data: _V1.run(data)),
    "V1 file's rows": Target(_v1, lambda data: _V1.run(data), rows=True),
    **{f"index of {name}": _bundle(name, ".index") for name in BUNDLES},
    **{f"rows of {name}": _bundle(name, ".index", rows=True) for name in BUNDLES},
    **{f"data of {name}": _bundle(name, ".data-00000-of-00001")
       for name in ("tf1.15/strings", "tf1.15/sliced", "tf2.21/state", "tf2.21/nested")},
}
_V1 = _Bundle("tf1.15/v1", ".ckpt")
