"""Saves of one Saver in a row, and targets of maps, the same way in TensorFlow and in tfckpt.

This runs on Python 3.7 too.
"""

import os


def play(save, saver, script):
    """Log of a script; the same for both."""
    log = []
    here = os.path.realpath(os.getcwd())
    for given, number, options in script["saves"]:
        path = given if script["relative"] else os.path.join(here, given)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        returned = save(path, number, options)
        states = {}
        for folder, _, names in sorted(os.walk(".")):
            for name in sorted(names):
                if "." not in name:
                    with open(os.path.join(folder, name)) as file:
                        states[os.path.join(folder, name)] = file.read().replace(here, "<here>")
        kept = sorted(os.path.join(folder, name) for folder, _, names in os.walk(".")
                      for name in names if name.endswith(".index"))
        log.append([returned.replace(here, "<here>"), states, kept,
                    [known.replace(here, "<here>") for known in saver.last_checkpoints]])
    return log


def meant(target, held):
    """What a target in JSON means: a name, {"variable": name} or {"parts": name}."""
    if isinstance(target, dict) and "variable" in target:
        return held[target["variable"]]
    return list(held[target["parts"]]) if isinstance(target, dict) else target
