"""Text to token ids and back, exact to the byte, and text streamed from tokens."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from foreword.errors import BundleError, PromptError, UsageError


class Tokenizer:
    """A bundle's tokenizer: byte-level BPE, or SentencePiece BPE with byte fallback."""

    vocabulary_size: int

    def __init__(
        self, core: Any, to_bytes: Callable[[str], bytes], added: Mapping[int, bytes]
    ) -> None:
        self._core = core
        self._to_bytes = to_bytes
        self._added = added
        self._control = frozenset(i for i, text in added.items() if not text)
        self.vocabulary_size = core.get_vocab_size()

    @classmethod
    def from_file(cls, path: Path) -> Tokenizer:
        """Read a Hugging Face tokenizer.json; raises BundleError when it is not a usable one."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise _unusable(path, error.strerror or str(error)) from None
        except UnicodeDecodeError as error:
            raise _unusable(path, str(error)) from None
        return cls.from_text(text, path)

    @classmethod
    def from_text(cls, text: str, path: Path) -> Tokenizer:
        """Read what a tokenizer.json holds, found at `path`; raises BundleError as `from_file`."""
        try:
            core = tokenizers.Tokenizer.from_str(text)
        # The package raises plain Exception, or panics, which is a BaseException; its text can
        # run over lines.
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise _unusable(path, " ".join(str(error).split())[:120]) from None
        to_bytes = _token_kind(core)
        if to_bytes is None:
            raise _unusable(path, "one that does not hold every byte")
        ids = core.get_vocab().values()
        if not ids or max(ids) != len(ids) - 1 or len(set(ids)) != len(ids):
            raise _unusable(path, "gaps in its token ids")
        core.no_truncation()
        core.no_padding()
        # What is typed is text, even where it spells a control token.
        core.encode_special_tokens = True
        added = {
            i: b"" if token.special else token.content.encode()
            for i, token in core.get_added_tokens_decoder().items()
        }
        return cls(core, to_bytes, added)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, none of them a control token's.

        Bytes for which the vocabulary has no token are left out. A SentencePiece vocabulary
        begins every text with a space. Raises PromptError for lone surrogates, which are no
        text, and BundleError when the file's rules cannot be followed.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise PromptError(
                f"expected Unicode text, found a lone surrogate at character {error.start}; "
                "decode the input with errors='replace'"
            ) from None
        try:
            ids: list[int] = self._core.encode(text, add_special_tokens=False).ids
        except BaseException as error:  # a rule that names a missing token; a panic
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise BundleError(
                f"tokenizer.json: expected rules for every text, found {error!s:.80}; "
                "convert the model again"
            ) from None
        if self._control.isdisjoint(ids):
            return ids
        return [part for i in ids for part in (self._spelled(i) if i in self._control else (i,))]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of tokens: control tokens give none, invalid UTF-8 gives U+FFFD."""
        return b"".join(map(self.token_bytes, token_ids)).decode("utf-8", "replace")

    def token_bytes(self, token_id: int) -> bytes:
        """Return the exact bytes a token stands for, none for a control token.

        Raises PromptError for an id outside the vocabulary.
        """
        if not 0 <= token_id < self.vocabulary_size:
            raise PromptError(
                f"token id {token_id}: expected 0 to {self.vocabulary_size - 1}, the ids of this "
                "model's vocabulary; encode the text with this model's own tokenizer"
            )
        added = self._added.get(token_id)
        if added is not None:
            return added
        return self._to_bytes(self._core.id_to_token(token_id))

    def _spelled(self, control: int) -> list[int]:
        # A vocabulary that takes whole pieces can find a control token in typed text.
        ids = (self._core.token_to_id(symbol) for symbol in self._core.id_to_token(control))
        return [i for i in ids if i is not None and i not in self._control]


class TextStream:
    """The text of one generation, token by token, never showing a broken character.

    Which text is given out does not depend on how the tokens cut it. The stop string that
    is completed first ends the text; of several completed by the same character, the
    longest. Raises UsageError for an empty stop string.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        if isinstance(stop, str) or not all(stop):
            raise UsageError("stop strings: expected a list of non-empty texts; leave it out")
        self.stopped = False
        self._tokenizer = tokenizer
        self._stop = tuple(stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def push(self, token_id: int) -> str:
        """Take a token and return the text that is now safe to show."""
        if self.stopped:
            return ""
        text = self._held + self._decoder.decode(self._tokenizer.token_bytes(token_id))
        matches = [(at + len(stop), at) for stop in self._stop if (at := text.find(stop)) >= 0]
        if matches:
            self.stopped = True
            self._held = ""
            return text[: min(matches)[1]]
        shown = len(text) - self._undecided(text)
        self._held = text[shown:]
        return text[:shown]

    def finish(self) -> str:
        """Return the text held back so far; the bytes of an unfinished character are dropped."""
        held, self._held = self._held, ""
        self._decoder.reset()
        return held

    def _undecided(self, text: str) -> int:
        """Return the length of the longest tail of `text` that may yet become a stop string."""
        longest = max(map(len, self._stop), default=1) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stop):
                return length
        return 0


def _byte_alphabet() -> dict[str, int]:
    """The byte that each character of the byte-level alphabet stands for (GPT-2, 2019)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = sorted(set(range(256)) - set(printable))
    alphabet = {chr(byte): byte for byte in printable}
    return alphabet | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTE_OF = _byte_alphabet()


def _byte_level_bytes(token: str) -> bytes:
    try:
        return bytes([_BYTE_OF[character] for character in token])
    except KeyError:
        return token.encode()


def _sentencepiece_bytes(token: str) -> bytes:
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        try:
            return bytes.fromhex(token[3:5])
        except ValueError:
            pass
    return token.replace("▁", " ").encode()


def _token_kind(core: Any) -> Callable[[str], bytes] | None:
    """Tell from its decoder how a tokenizer writes bytes in tokens; None if in no known way."""
    if core.decoder is None:
        return None
    decoder = json.loads(core.decoder.__getstate__())
    kinds = {step["type"] for step in decoder.get("decoders", [decoder])}
    if "ByteLevel" in kinds:
        return _byte_level_bytes
    return _sentencepiece_bytes if "ByteFallback" in kinds else None


def _unusable(path: Path, found: str) -> BundleError:
    return BundleError(
        f"{path}: expected a byte-level tokenizer.json, found {found}; convert the model again"
    )
