"""CPython's own test suite, natively and in the library OS: ``make compatibility`` writes docs/compatibility.md."""
