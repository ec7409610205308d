"""Beginnings of texts that full-integer quantization measures activations on."""

from __future__ import annotations

from foreword.errors import UsageError

_WORDS, _MOST = 16, 64

TEXTS = (
    "Thank you for your letter of last week; we were glad to hear that",
    "The train from the coast arrives at 7:45 and leaves again at",
    "In the first chapter the author describes a village where nobody",
    "To make the dough, mix 500 grams of flour with a pinch of salt and",
    "She looked out of the window, saw the rain, and decided not to",
    "The committee has agreed that the bridge should be repaired before",
    "If you press the green button twice, the machine will begin to",
    'for i in range(10):\n    if i % 2 == 0:\n        print("',
    "Temperatures fell to minus 12 degrees overnight, and the roads were",
    "Dear all, please find below the notes of yesterday's meeting:\n\n1.",
    "When the king heard what his daughter had done, he called for",
    "The patient reports that the pain began three days ago and has",
    "Our prices do not include delivery, which takes about two weeks and",
    "It isn't that I don't like the colour, it's just that we've",
    "Water is made of hydrogen and oxygen; salt is made of",
    "오늘은 날씨가 좋아서 친구와 함께 공원에",
)
"""Written for this purpose; no text that results are measured on."""


def beginnings(text: str) -> list[str]:
    """Return the beginnings of a text's paragraphs, a few words each, at most 64 of them.

    Raises UsageError for a text without any.
    """
    paragraphs = [" ".join(part.split()[:_WORDS]) for part in text.split("\n\n")]
    found = [paragraph.replace("\0", "") for paragraph in paragraphs if paragraph][:_MOST]
    if not found:
        raise UsageError("calibration_text: expected paragraphs of text, found none")
    return found
