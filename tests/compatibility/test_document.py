"""The document counts what it should and is not written with a gap."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compatibility import results
from tests.compatibility.document import NO_END, IncompleteError, Module, Reason, read_reasons, render
from tests.compatibility.root import Suite
from tests.compatibility.side import Run, read_log

PASSES = Run("passed", {"a.one": "passed", "a.two": "passed", "a.three": "skipped"})
REASON = Reason("test_b", ("a.t*",), "no second")


def failing(name: str) -> Module:
    return Module(name, PASSES, None, Run("failed", {"a.one": "passed", "a.two": "failed"}))


def test_a_module_passes_when_all_cases_do_that_pass_natively() -> None:
    inside = Run("failed", {"a.one": "passed", "a.two": "passed", "a.three": "failed"})
    text = render([Module("test_a", PASSES, None, inside), failing("test_b")], [REASON], "3.11")
    assert "| together | 2 | 1 (50.0 %) | 4 | 3 |" in text
    assert "| test_b | 1 of 2 | no second |" in text
    assert "## Modules that pass (1)\n\na\n" in text


def test_without_failures_the_document_says_so() -> None:
    text = render([Module("test_a", PASSES, None, PASSES)], [], "3.11")
    assert "## What fails inside\n\nNothing that passes natively.\n" in text
    assert "Nothing that passes" not in render([failing("test_b")], [REASON], "3.11")


def test_a_failing_case_without_a_reason_is_refused() -> None:
    both_fail = Module("test_b", PASSES, None, Run("failed", {"a.one": "failed", "a.two": "failed"}))
    with pytest.raises(IncompleteError, match=r"test_b: a\.two fails inside"):
        render([both_fail], [Reason("test_b", ("a.one",), "no first")], "3.11")


def test_a_module_whose_cases_pass_but_which_does_not_end_fails() -> None:
    module = Module("test_b", PASSES, None, Run("ended with status 139", dict(PASSES.cases)))
    with pytest.raises(IncompleteError, match="the module's own end"):
        render([module], [], "3.11")
    text = render([module], [Reason("test_b", (NO_END,), "crashes")], "3.11")
    assert "| together | 1 | 0 (0.0 %) | 2 | 2 |" in text
    assert "| test_b | 1 of 2 | crashes |" in text


def test_a_reason_for_what_no_longer_fails_is_refused() -> None:
    with pytest.raises(IncompleteError, match="nothing of test_b fails"):
        render([Module("test_b", PASSES, None, PASSES)], [REASON], "3.11")


def test_cases_that_need_fork_are_told_from_those_that_fail_anyway() -> None:
    native = Run("failed", {"a.one": "passed", "a.fork": "failed", "a.never": "failed"})
    with_fork = Run("failed", {"a.one": "passed", "a.fork": "passed", "a.never": "failed"})
    text = render([Module("test_c", native, with_fork, PASSES)], [], "3.11")
    assert "| test_c | 1 | 1 | 1 | yes |" in text
    forks = Module("test_d", Run("no end"), Run("passed", {"a.one": "passed"}), None)
    assert "### Need fork: nothing passes natively without it, or no end comes (1)\n\nd\n" in render(
        [forks], [], "3.11"
    )


def test_a_log_tells_the_worst_of_cases_with_one_name_and_how_it_ended() -> None:
    lines = [("a.one", "running"), ("a.one", "passed"), ("a.one", "running"), ("a.one", "failed"), ("a.two", "running")]
    log = "".join(f'noise\n\x1e{{"case": "{case}", "result": "{result}"}}\n' for case, result in lines)
    assert read_log(log, None) == Run("no end", {"a.one": "failed", "a.two": "running"}, log)
    assert read_log(log + "Tests result: FAILURE\n", 2).outcome == "failed"
    assert read_log(log, 139).outcome == "ended with status 139"


def test_the_reasons_are_readable() -> None:
    text = '[[failing]]\nmodule = "test_b"\ncases = ["a.t*"]\nwhy = "no second"\n'
    assert read_reasons(text) == [REASON]


def test_a_result_counts_only_for_what_it_was_measured_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "PLACE", tmp_path)
    old, runtime, root = (
        Suite(Path(rootfs), Path(bundle)) for rootfs, bundle in (("r1", "b1"), ("r1", "b2"), ("r2", "b3"))
    )
    for side in results.SIDES:
        results.save(old, side, "test_a", PASSES)
        assert results.load(old, side, "test_a") == PASSES
        assert results.load(root, side, "test_a") is None
    assert results.load(runtime, "inside", "test_a") is None
    assert results.load(runtime, "native", "test_a") == PASSES
