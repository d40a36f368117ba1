"""``python -m casemate`` is the command ``casemate``."""

from casemate.cli import main

main()
