"""Imports the modules of the standard library whose names begin with one of the letters in argv[1]."""

import contextlib
import importlib
import io
import sys

for name in sorted(sys.stdlib_module_names):
    # antigravity opens a browser.
    if name == "antigravity" or name.lstrip("_")[0] not in sys.argv[1]:
        continue
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module(name)
        print(name, "imported")
    except Exception as error:
        print(name, type(error).__name__, error)
