"""Numbers for Prometheus. Labels come from a fixed set: nothing of a client's becomes one."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.decisions = Counter(
            "casemate_broker_decisions",
            "Decisions by action and outcome.",
            ["action", "outcome"],
            registry=self.registry,
        )
        self.judging = Histogram(
            "casemate_broker_judging_seconds",
            "Time to judge a client's evidence.",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1),
            registry=self.registry,
        )
        self.connections = Gauge(
            "casemate_broker_connections", "Open connections by port.", ["port"], registry=self.registry
        )
        self.ended = Counter(
            "casemate_broker_connections_ended",
            "Connections that the broker ended, by port and reason.",
            ["port", "reason"],
            registry=self.registry,
        )

        self.collateral_fetches = Counter(
            "casemate_broker_collateral_fetches",
            "Attempts to fetch collateral, by outcome: stored, failed, or limited (not made: too many platforms).",
            ["outcome"],
            registry=self.registry,
        )
        self.collateral_expiry = Gauge(
            "casemate_broker_collateral_expiry_timestamp_seconds",
            "When the first of the collateral under the broker's root expires, in seconds since 1970; 0: there is none.",
            registry=self.registry,
        )

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)


METRICS = Metrics()
