"""Benchmarks: the same programs natively and inside, as ratios. ``python -m bench``, or ``make bench``."""
