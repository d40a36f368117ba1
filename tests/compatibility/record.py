"""Runs one module of CPython's test suite as ``python3 -m test -v MODULE`` does, and says on a line what became of each test case.

It is copied into the root file system under test and uses only the standard library. A line is the character RS (0x1e), then
JSON: ``{"case": ID, "result": "running" | "passed" | "failed" | "skipped"}``.
"""

import json
import os
import sys

from test.libregrtest import main
from test.support import testresult

FAILED, SKIPPED, PASSED = "failed", "skipped", "passed"


def say(case, result):
    os.write(1, ("\n\x1e" + json.dumps({"case": case, "result": result}) + "\n").encode())


class Recording(testresult.RegressionTestResult):
    """Notes the worst thing that happened to the running case."""

    _worst = PASSED

    def startTest(self, test):
        self._worst = PASSED
        say(test.id(), "running")
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        say(test.id(), self._worst)
        self._worst = PASSED

    def _note(self, test, result):
        # What fails in setUpClass or setUpModule has no startTest.
        if type(test).__name__ == "_ErrorHolder":
            say(test.id(), result)
        elif self._worst != FAILED:
            self._worst = result

    def addError(self, test, err):
        self._note(test, FAILED)
        super().addError(test, err)

    def addFailure(self, test, err):
        self._note(test, FAILED)
        super().addFailure(test, err)

    def addUnexpectedSuccess(self, test):
        self._note(test, FAILED)
        super().addUnexpectedSuccess(test)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._note(test, FAILED)
        super().addSubTest(test, subtest, err)

    def addSkip(self, test, reason):
        self._note(test, SKIPPED)
        super().addSkip(test, reason)


if __name__ == "__main__":
    testresult.RegressionTestResult = Recording
    # As `python3 -m test`: the directory of this file is not where tests import from.
    sys.path.pop(0)
    sys.argv[1:1] = ["-v"]
    main()
