"""Casemate: run unmodified Linux container images inside hardware enclaves.

The package is what a person or a cluster talks to. Everything that is trusted at run time is Rust,
under ``runtime/``; its pure parts are reachable from here as the private module ``casemate._core``.
"""

__version__ = "0.1.0"
