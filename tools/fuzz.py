"""Give many nearly right bytes to every parser, and report what isn't a result or an error.

    python tools/fuzz.py --mutations 1000000 --jobs 2
    python tools/fuzz.py --mutations 20000 --target "rows of tf1.15/sliced" --seed 7
    python tools/fuzz.py --atheris table        (needs the package atheris)

A finding is any exception but CheckpointError, more than two seconds for one input, or more
than 256 MiB of address space beyond what the process had before. Inputs are the same for the
same seed, whatever the number of jobs; those of findings are kept in --findings.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import signal
import sys
import time
import traceback
from multiprocessing import Pool
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "fuzz"))

from mutations import mutate, mutate_rows  # noqa: E402 - they are no package
from targets import TARGETS, run  # noqa: E402

SECONDS = 2
MEMORY = 256 << 20
BATCH = 1000


class TooSlow(BaseException):
    """One input took more than its two seconds."""


def limit_process() -> None:
    """Bound this process's address space and have a signal end what takes too long."""
    for name in TARGETS:  # whatever is imported or made at the first use
        for seed in TARGETS[name].seeds():
            run(name, seed)
    with open("/proc/self/statm", encoding="ascii") as statm:
        size = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))

    def stop(signum: int, frame: object) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, stop)


def run_batch(batch: tuple[str, int, int, int, str]) -> tuple[str, int, float, list[str]]:
    """Run some mutations of one target: how many made something, the slowest, the findings."""
    name, seed, first, count, folder = batch
    target = TARGETS[name]
    seeds = target.seeds()
    made, slowest, findings = 0, 0.0, []
    for n in range(first, first + count):
        rng = random.Random(f"{seed}/{name}/{n}")
        data = (mutate_rows if target.rows else mutate)(rng, rng.choice(seeds), seeds)
        start = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            made += run(name, data)
        except (Exception, TooSlow) as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            file = Path(folder) / hashlib.sha256(data).hexdigest()[:16]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            last = traceback.format_exc().splitlines()[-4:]
            findings.append(f"{name}, mutation {n}: {type(error).__name__} ({file})\n  "
                            + "\n  ".join(last))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        slowest = max(slowest, time.perf_counter() - start)
    return name, made, slowest, findings


def fuzz_with_atheris(name: str, arguments: list[str]) -> None:
    """Let atheris choose the bytes, by what they reach in the code."""
    import atheris

    def once(data: bytes) -> None:
        run(name, data)

    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *arguments], once)
    atheris.Fuzz()


def main() -> int:
    """Run, print a summary, and return 1 if there was a finding."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=100_000, help="over all targets")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", action="append", choices=list(TARGETS))
    parser.add_argument("--findings", default=".fuzz", help="folder for the inputs of findings")
    parser.add_argument("--atheris", choices=list(TARGETS), metavar="TARGET")
    options, rest = parser.parse_known_args()
    if options.atheris:
        fuzz_with_atheris(options.atheris, rest)
        return 0
    names = options.target or list(TARGETS)
    each = -(-options.mutations // len(names))
    batches = [(name, options.seed, first, min(BATCH, each - first), options.findings)
               for first in range(0, each, BATCH) for name in names]
    started = time.monotonic()
    made = dict.fromkeys(names, 0)
    slowest = dict.fromkeys(names, 0.0)
    findings: list[str] = []
    with Pool(options.jobs, limit_process) as pool:
        for name, n_made, seconds, found in pool.imap_unordered(run_batch, batches):
            made[name] += n_made
            slowest[name] = max(slowest[name], seconds)
            findings += found
            for text in found[:3]:
                print(text, flush=True)
    width = max(map(len, names))
    for name in names:
        print(f"{name:{width}}  {each:>8,} mutations  {made[name]:>8,} made something"
              f"  slowest {1000 * slowest[name]:7.1f} ms")
    print(f"{each * len(names):,} mutations of {len(names)} targets, seed {options.seed}, in"
          f" {time.monotonic() - started:.0f} s: {len(findings)} findings")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
