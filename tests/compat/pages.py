"""The examples of a page of the docs, run where a framework is."""

import doctest
import io
import os
import re


def page(folder, path):
    """The failures of a page's examples, run in an empty folder."""
    before, said = os.getcwd(), io.StringIO()
    os.chdir(folder)
    try:
        parser, names = doctest.DocTestParser(), {}
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
        with open(path, encoding="utf-8") as file:
            blocks = re.findall(r"^```python\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
        for number, block in enumerate(blocks):
            test = parser.get_doctest(block, names, f"block {number}", path, 0)
            runner.run(test, out=said.write, clear_globs=False)
            names = test.globs
        return {"blocks": len(blocks), "failed": runner.failures, "said": said.getvalue()}
    finally:
        os.chdir(before)
