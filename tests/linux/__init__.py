"""Regression tests of the library OS: Linux is the oracle."""
