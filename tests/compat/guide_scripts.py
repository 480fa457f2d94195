"""Runs the blocks of docs/guide.md that need TensorFlow, one after the other, in this folder.

Takes [[code, what it needs], ...] as JSON; prints what each printed, what it lacks, its error.
"""

import contextlib
import io
import json
import logging
import sys
import traceback

import tensorflow as tf

logging.getLogger("tensorflow").setLevel(logging.ERROR)


def lacks(needs):
    has = {"": True, "tf.estimator": hasattr(tf, "estimator"),
           "Keras 2": issubclass(tf.keras.layers.Layer, tf.Module)}
    has["Keras 3"] = not has["Keras 2"]
    return "" if has[needs] else needs


def main():
    names, results = {}, []
    for code, needs in json.load(sys.stdin):
        result = {"printed": "", "error": "", "lacks": lacks(needs)}
        out = io.StringIO()
        if not result["lacks"]:
            try:
                with contextlib.redirect_stdout(out):
                    exec(compile(code, "docs/guide.md", "exec"), names)
            except Exception:
                result["error"] = traceback.format_exc()
        result["printed"] = out.getvalue()
        results.append(result)
    print("\n" + json.dumps(results))


if __name__ == "__main__":
    main()
