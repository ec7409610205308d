"""What is counted and timed, for Prometheus; never a word of what was written."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from foreword.completion.suggestion import Suggestions
from foreword.engine.forward import StreamStats
from foreword.engine.generation import FinishReason

_SECONDS = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One registry for one server."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "foreword_requests",
            "Requests by route and status.",
            ["route", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "foreword_request_seconds",
            "From the request to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.queue_seconds = Histogram(
            "foreword_queue_seconds",
            "From a request to its turn at the model.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.tokens = Counter(
            "foreword_tokens",
            "Tokens: of prompts that were computed or reused, and generated.",
            ["kind"],
            registry=registry,
        )
        self.superseded = Counter(
            "foreword_superseded", "Requests that a newer one took the place of.", registry=registry
        )
        self.called_off = Counter(
            "foreword_called_off",
            "Requests whose client went away or asked anew, or that ran out of time.",
            registry=registry,
        )
        self.turned_away = Counter(
            "foreword_turned_away", "Requests refused because too many wait.", registry=registry
        )
        self.refused = Counter(
            "foreword_refused", "Texts that the safety filter refused.", ["what"], registry=registry
        )
        self.waiting = Gauge("foreword_waiting", "Requests that wait.", registry=registry)
        self.seats = Gauge("foreword_texts", "Texts with something in memory.", registry=registry)
        self.cache_bytes = Gauge(
            "foreword_text_bytes", "Memory held for texts, besides the model's.", registry=registry
        )
        self.ready = Gauge(
            "foreword_model_ready", "1 when the model is loaded.", ["model"], registry=registry
        )

    def count(self, stats: StreamStats, finish: FinishReason | None) -> None:
        """Count the tokens of a continuation that has ended."""
        self.tokens.labels("computed").inc(stats.computed_tokens)
        self.tokens.labels("reused").inc(stats.reused_tokens)
        self.tokens.labels("generated").inc(stats.generated_tokens)
        if finish == "refused":
            self.refused.labels("output").inc()

    def count_suggestions(self, found: Suggestions) -> None:
        """Count the tokens that suggestions took, and a refusal."""
        self.tokens.labels("computed").inc(found.computed_tokens)
        if found.refused is not None:
            self.refused.labels(found.refused).inc()

    def text(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self._registry)
