"""A suggestion of a model that says nothing of its tokens: a text graph, cut to whole words."""

from __future__ import annotations

from collections.abc import Sequence

from foreword.completion.draft import Called, Refused
from foreword.completion.safety import Match, Scan
from foreword.completion.suggestion import Policy, Request, Suggestion
from foreword.completion.words import (
    divides,
    parts_of,
    repeats_from,
    sentence_end,
    settled_parts,
)
from foreword.engine.engine import LanguageModel
from foreword.engine.sampling import SamplingParams


def streamed(
    model: LanguageModel, token_ids: Sequence[int], scan: Scan, request: Request
) -> Suggestion | None:
    """Return what a model goes on with, of which `on_words` is told as it comes.

    `scan` has read the text before. Raises Called, and Refused for a bad word before which there
    is nothing to show.
    """
    before, policy = request.before, request.policy
    params = SamplingParams(
        max_new_tokens=policy.max_tokens, temperature=policy.temperature, seed=policy.seed
    )
    text, shown, count, reading = "", "", 0, scan.copy()
    for step in model.stream(token_ids, params, request.cancel):
        if step.finish_reason == "cancelled":
            raise Called
        text, count = text + step.text, count + 1
        reading.feed(step.text)
        fit = _fit(text, policy, request.suffix, reading.safe - len(before))
        if len(fit) > len(shown) and divides(before, fit) and _verdict(scan, fit) is None:
            shown = fit
            if request.on_words:
                request.on_words(shown)
    fit = _fit(text, policy, request.suffix)
    match = _verdict(scan, fit) if fit else None
    if shown and (match is not None or not fit.startswith(shown)):
        fit = shown
    elif match is not None:
        raise Refused(match.end <= len(before))
    return Suggestion(fit, tokens=count) if fit else None


def _fit(text: str, policy: Policy, suffix: str, safe: int | None = None) -> str:
    """Return the words of a text to be shown; where `safe` is given, those settled up to there."""
    text = text.partition("\n")[0]
    text = text[: sentence_end(text)]
    parts = parts_of(text)
    if safe is not None:
        parts = [part for part in settled_parts(text) if part.end <= safe]
    ends = [part.end for part in parts if part.is_word][: policy.max_words]
    text = text[: ends[-1]] if ends else ""
    text = text[: repeats_from(text, suffix)]
    return text if any(end <= len(text) for end in ends) else ""


def _verdict(scan: Scan, text: str) -> Match | None:
    """Return the first bad word of a text after what a scan has read."""
    scan = scan.copy()
    return scan.feed(text) or scan.end()
