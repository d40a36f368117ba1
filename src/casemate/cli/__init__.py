"""The command line: one module a command. Each prints results to stdout, everything else to stderr.

``casemate run`` is on the path of every program start, so it is found before anything heavy is imported.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The ``casemate`` command."""
    arguments = sys.argv[1:]
    try:
        if arguments[:1] == ["run"]:
            from casemate.cli.run import run

            run(arguments[1:])
        else:
            from casemate.cli.app import app

            app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        _explain(error)


def _explain(error: Exception) -> None:
    """A user's mistake in one sentence; anything else is a bug and keeps its traceback."""
    from casemate.errors import CasemateError

    if not isinstance(error, CasemateError):
        raise error
    print(f"casemate: {error.diagnostics()}", file=sys.stderr)
    sys.exit(error.exit_code)
