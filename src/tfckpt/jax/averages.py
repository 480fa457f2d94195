"""Moving averages that a checkpoint has: taken if that is asked for, and told of if not."""

from __future__ import annotations

from tfckpt.convert.anatomy import read_anatomy
from tfckpt.convert.ema import averages_of, lone_averages
from tfckpt.core.source import Source
from tfckpt.errors import UnsupportedError
from tfckpt.jax.finding import Finding

__all__ = ["averaged"]


def averaged(source: Source, finding: Finding, ema: str) -> Finding:
    """What was found, with moving averages in the place of variables, or a note on them.

    Raises:
        UnsupportedError: They are wanted, and there are none; or there are no variables to them.
    """
    averages = averages_of(read_anatomy(source))
    if ema == "use" and averages:
        return finding.with_averages(averages)._replace(notes=(
            *finding.notes, f"moving averages were taken for {len(averages)} variables"))
    if ema == "use":
        alone = bool(lone_averages(source))
        raise UnsupportedError(
            "the checkpoint has moving averages without their variables" if alone else
            "the checkpoint has no moving averages", file=source.prefix,
            hint=f"Load what `tfckpt ema {source.prefix} --use -o NEW` writes." if alone else None)
    return finding if not averages else finding._replace(notes=(
        *finding.notes, (f"the checkpoint has moving averages of {len(averages)} variables; what"
                         ' was loaded are the variables themselves (ema="use" takes the averages)'
                         )))
