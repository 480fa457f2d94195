"""Runs inside a TensorFlow environment: calls functions of snippets.py, one JSON line each.

Started by the tests; Python 3.7 and TensorFlow 1.15 must be able to read it.
"""

import importlib
import json
import os
import sys
import traceback


def main():
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what TensorFlow prints must not come between the answers
    for line in sys.stdin:
        request = json.loads(line)
        try:
            module = importlib.import_module(request["module"])
            answer = {"value": getattr(module, request["function"])(**request["arguments"])}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
