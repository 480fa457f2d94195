"""The rooms of docs/architecture.md and the arrows between them, held against the code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import EXAMPLE, ROOT

PACKAGE = ROOT / "src" / "tfckpt"

# Each room, and the rooms it may import from.
ARROWS = {
    "errors": set(),
    "_version": set(),
    "format": {"errors"},
    "storage": {"errors"},
    "core": {"format", "storage", "errors"},
    "train": {"core", "format", "storage", "errors"},
    "convert": {"core", "format", "errors"},
    "tensorflow": {"train", "convert", "core", "format", "errors"},
    "jax": {"train", "convert", "core", "format", "errors"},
    "keras": {"train", "convert", "core", "format", "errors"},
    "torch": {"train", "convert", "core", "format", "errors"},
    "report": {"core", "format", "errors"},
    "cli": {"report", "keras", "tensorflow", "torch", "convert", "train", "core", "errors",
            "_version"},
    "tfckpt": {"convert", "train", "core", "errors", "_version"},
    "__main__": {"cli"},
}
# Of files that a framework writes.
ROOM_OF = {"flax": "jax", "h5py": "keras", "orbax.checkpoint": "core", "msgpack": "core"}
FRAMEWORKS = {"tensorflow", "keras", "tf_keras", "torch", "jax", "flax", "safetensors", "h5py",
              "orbax", "msgpack"}


def modules() -> dict[str, Path]:
    """Dotted name of every module of the package."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """Every module that a file imports, anywhere in it: deferred and typing-only ones too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                names.add(whole if whole in known else node.module)
    return names


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "tfckpt"


GRAPH = {name: imports(path, modules()) for name, path in modules().items()}


def test_every_room_is_drawn():
    assert {room(module) for module in GRAPH} <= set(ARROWS)


def test_arrows_between_rooms_point_down():
    wrong = [f"{module} imports {target}" for module, targets in sorted(GRAPH.items())
             for target in sorted(targets) if target.split(".")[0] == "tfckpt"
             and room(target) != room(module) and room(target) not in ARROWS[room(module)]]
    assert wrong == []


def test_no_module_imports_itself_through_others():
    ours = {module: {t for t in targets if t in GRAPH} for module, targets in GRAPH.items()}
    done: set[str] = set()

    def walk(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail[trail.index(module):], module))
        if module not in done:
            for target in ours[module]:
                walk(target, (*trail, module))
            done.add(module)

    for module in ours:
        walk(module, ())


def test_only_a_frameworks_own_room_imports_it():
    wrong = [f"{module} imports {target}" for module, targets in GRAPH.items()
             for target in targets if target.split(".")[0] in FRAMEWORKS
             and room(module) != ROOM_OF.get(target, target.split(".")[0])]
    assert wrong == []


def test_only_the_command_line_prints_exits_or_reads_the_environment():
    wrong = []
    for module, path in modules().items():
        if room(module) == "cli":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.unparse(node) if isinstance(node, (ast.Call, ast.Attribute)) else ""
            if text.startswith(("print(", "sys.exit(", "exit(")) or text == "os.environ":
                wrong.append(f"{module}: {text}")
    assert wrong == []


def loaded(code: str) -> set[str]:
    """Top-level modules that are loaded after this code ran in a fresh process."""
    code += "\nimport sys; print('|'.join({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split("|"))


def test_importing_tfckpt_imports_no_framework_and_no_numpy():
    assert loaded("import tfckpt") & (FRAMEWORKS | {"numpy", "rich", "cramjam"}) == set()


def test_listing_imports_neither_numpy_nor_rich():
    names = loaded(f"from tfckpt.cli.main import run; run(['ls', {str(EXAMPLE)!r}])")
    assert names & {"numpy", "ml_dtypes", "rich", "click"} == set()


@pytest.mark.parametrize("command", ["ls", "convert", "verify", "inspect"])
def test_commands_that_need_no_model_import_nothing_for_models(command, tmp_path):
    more = ["--to", "tf2", "-o", str(tmp_path / "ckpt")] if command == "convert" else []
    done = subprocess.run([sys.executable, "-c", f"""
import sys
from tfckpt.cli.main import run
assert run({[command, str(EXAMPLE), *more]!r}) == 0
print("|", *sorted(name for name in sys.modules if name.startswith(
    ("tfckpt.keras", "tfckpt.train.objects", "tfckpt.torch", "tfckpt.jax",
     "tfckpt.core.matching"))))
"""], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "|"


def test_converting_imports_neither_numpy_nor_rich(tmp_path):
    names = loaded("from tfckpt.cli.main import run\n"
                   f"assert run(['convert', {str(EXAMPLE)!r}, '--to', 'tf2', '-o',"
                   f" {str(tmp_path / 'ckpt')!r}]) == 0")
    assert names & {"numpy", "ml_dtypes", "rich", "click"} == set()
