"""Work on threads, for what lets go of Python's lock: reading, writing, checksums.

The standard library's pools do as much, but importing them takes as long as a small conversion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

__all__ = ["in_order", "meanwhile"]

T = TypeVar("T")
R = TypeVar("R")


def in_order(function: Callable[[T], R], tasks: Sequence[T], jobs: int) -> Iterator[R]:
    """The results of a function of each task, in their order; so many threads work at them.

    An error is raised where its result would be. After it, or when nobody wants more results,
    tasks that aren't begun stay undone, and the threads have ended.

    Example:
        >>> list(in_order(abs, [-1, 2, -3], 2))
        [1, 2, 3]
    """
    if jobs <= 1 or len(tasks) <= 1:
        yield from map(function, tasks)
        return
    from queue import SimpleQueue  # deferred, as the whole module: small work needs no threads
    from threading import Lock, Thread

    finished: SimpleQueue[tuple[int, Any, BaseException | None]] = SimpleQueue()
    left = iter(range(len(tasks)))
    lock = Lock()

    def work() -> None:
        while True:
            with lock:
                n = next(left, None)
            if n is None:
                return
            try:
                finished.put((n, function(tasks[n]), None))
            except BaseException as error:  # raised where somebody waits for the result
                finished.put((n, None, error))

    threads = [Thread(target=work, name="tfckpt work") for _ in range(min(jobs, len(tasks)))]
    early: dict[int, tuple[Any, BaseException | None]] = {}
    try:
        for thread in threads:
            thread.start()
        for n in range(len(tasks)):
            while n not in early:
                at, result, error = finished.get()
                early[at] = result, error
            result, error = early.pop(n)
            if error is not None:
                raise error
            yield result
    finally:
        with lock:
            left = iter(())
        for thread in threads:
            if thread.ident is not None:  # else the system refused to start it
                thread.join()


@contextmanager
def meanwhile(function: Callable[[], R]) -> Iterator[Callable[[], R]]:
    """Run a function on a thread while the body runs; what is given waits for its result.

    The thread has ended when the body is left. An error of the function is raised where its
    result is asked for.

    Example:
        >>> with meanwhile(lambda: 6 * 7) as result:
        ...     print(result())
        42
    """
    from threading import Thread  # deferred, as above

    found: list[tuple[Any, BaseException | None]] = []

    def run() -> None:
        try:
            found.append((function(), None))
        except BaseException as error:  # raised where somebody waits for the result
            found.append((None, error))

    thread = Thread(target=run, name="tfckpt meanwhile")

    def result() -> R:
        thread.join()
        (value, error), = found
        if error is not None:
            raise error
        returned: R = value
        return returned

    thread.start()
    try:
        yield result
    finally:
        thread.join()
