"""Conversions from and to ``.weights.h5``, always with a template or into one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from tfckpt.convert.anatomy import Anatomy, read_anatomy
from tfckpt.convert.like import LikeOptions, plan_like
from tfckpt.convert.running import DataChoice, run_plan
from tfckpt.core.discovery import as_path
from tfckpt.core.matching import Side, match, side_of_source
from tfckpt.core.opening import open_source
from tfckpt.core.origin import Given, Streamed
from tfckpt.core.plan import Output, Plan, Progress, no_progress, old_key
from tfckpt.core.report import ConvertReport
from tfckpt.core.source import Source
from tfckpt.core.writer import WrittenFile
from tfckpt.keras.h5 import open_h5
from tfckpt.keras.optimizer_h5 import INNER, read_h5_anatomy
from tfckpt.keras.placing import check_free, placed
from tfckpt.keras.weights_h5 import OPTIMIZER, WeightsH5, is_weights_h5

if TYPE_CHECKING:
    import numpy as np

__all__ = ["convert_h5", "read_output"]

Path = str | os.PathLike[str]
_WRAPPER_OWN = 4  # variables of a loss-scale wrapper before those of the optimizer inside


def convert_h5(src: Path, dst: Path, template: Path, *, names: Mapping[str, str] | None = None,
               options: LikeOptions | None = None, data: DataChoice = "link",
               overwrite: bool = False, dry_run: bool = False,
               progress: Progress = no_progress) -> ConvertReport:
    """Convert with a template, where the source or the template is a ``.weights.h5`` file.

    As `tfckpt.convert.like.convert_like`; if the template is such a file, the result is one too.

    Raises:
        MismatchError: Not every variable of the template can be filled; with all of them.
        UnsupportedError: A slot's variable, or a value, can't be told.
        DestinationExistsError: Something is at ``dst``.
        CheckpointError: Nothing was written.
    """
    with ExitStack() as stack:
        source, wanted = (stack.enter_context(_open(path)) for path in (src, template))
        a, b = _side(source), _side(wanted)
        known = {a.key(here, "names"): b.key(there, "names")
                 for here, there in (names or {}).items()}
        plan = plan_like(source, wanted, match(a, b, given=known), options or LikeOptions(),
                         parts=_parts(source, wanted))
        if not isinstance(wanted, WeightsH5):
            return run_plan([source, wanted], plan, as_path(dst), data=data, overwrite=overwrite,
                            dry_run=dry_run, progress=progress)
        return _write(source, wanted, plan, as_path(dst), overwrite=overwrite, dry_run=dry_run)


def _open(path: Path) -> Source:
    return WeightsH5(path) if is_weights_h5(path) else open_source(path)


def _parts(source: Source, template: Source) -> tuple[Anatomy, Anatomy]:
    """The parts of both; what one doesn't say of its optimizer, the other may."""
    if isinstance(source, WeightsH5) and isinstance(template, WeightsH5):
        return read_h5_anatomy(source), read_h5_anatomy(template)
    if isinstance(source, WeightsH5):
        wanted = read_anatomy(template)
        old = read_h5_anatomy(source, wanted)
        return old, read_anatomy(template, _kind(old))
    assert isinstance(template, WeightsH5)
    new = read_h5_anatomy(template, read_anatomy(source))
    return read_anatomy(source, _kind(new)), new


def _kind(parts: Anatomy) -> str | None:
    return parts.optimizers[0].kind if parts.optimizers else None


def _side(source: Source) -> Side:
    if not isinstance(source, WeightsH5):
        return side_of_source(source)
    state = {key for key in source.index if key.startswith(OPTIMIZER + "/")}
    heads = {key: (entry.dtype.name, entry.shape) for key, entry in source.index.items()
             if key not in state}
    return Side(source.prefix, heads, left_aside={"optimizer": len(state)} if state else {})


def _write(source: Source, template: WeightsH5, plan: Plan, target: str, *, overwrite: bool,
           dry_run: bool) -> ConvertReport:
    check_free(target, (source.prefix, template.prefix), overwrite=overwrite)
    report = ConvertReport(source.prefix, target, plan, notes=source.notes)
    if dry_run:
        return report
    with placed(target) as waiting:
        _fill(source, template, plan, waiting)
    return report._replace(files=(WrittenFile(target, os.path.getsize(target), "new"),))


def _fill(source: Source, template: WeightsH5, plan: Plan, file: str) -> None:
    """Copy the template, and give each of its datasets the values of the plan."""
    shutil.copyfile(template.prefix, file)
    with open_h5(file, "r+") as target:
        for output in plan.outputs:
            path = template.paths[output.key]
            values = read_output(source, output)
            target[path][...] = values
            inner = path.removeprefix(INNER)
            if inner != path:  # the wrapper stores them once more among its own
                target[f"{OPTIMIZER}/vars/{int(inner) + _WRAPPER_OWN}"][...] = values


def read_output(source: Source, output: Output) -> np.ndarray[Any, Any]:
    """The values of an output of a plan, from the source that it takes others' over from."""
    import numpy as np  # deferred: as everywhere

    origin = output.origin
    if isinstance(origin, Given):
        data = bytes(origin.data)
    elif isinstance(origin, Streamed):
        data = b"".join(bytes(chunk) for chunk in origin.chunks())
    else:
        return source.read_array(source.index[old_key(output) or ""])
    return np.frombuffer(data, output.dtype.numpy()).reshape(output.shape)
