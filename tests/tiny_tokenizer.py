"""A byte-level BPE of about three hundred tokens, as the metadata of a GGUF file holds one."""

from __future__ import annotations

CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

# In rank order; "Ġ" stands for the space in the byte-level alphabet.
MERGES = (
    *("Ġ t", "Ġ a", "h e", "i n", "r e", "o n", "Ġt he", "e r", "Ġ s", "a t"),
    *("Ġ w", "Ġ o", "e n", "Ġ c", "i t", "i s", "a n", "o r", "e s", "Ġ b"),
    *("e d", "Ġ f", "in g", "Ġ p", "o u", "Ġa n", "a l", "a r", "Ġt o", "Ġ m"),
    *("Ġo f", "Ġ in", "Ġ d", "Ġ h", "Ġan d", "i c", "a s", "l e", "Ġt h", "i on"),
)


def byte_symbols() -> list[str]:
    """The 256 characters of the byte-level alphabet (GPT-2), indexed by byte."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(b) if b in shown else chr(256 + hidden.index(b)) for b in range(256)]


def gguf_tokenizer_metadata(vocabulary: int | None = None) -> dict[str, object]:
    """The tokenizer's part of a GGUF file's metadata; a fresh, mutable copy each time.

    `vocabulary`, where given, is the number of tokens wanted; fillers no text encodes to
    make up for what is missing.
    """
    merged = [pair.replace(" ", "") for pair in MERGES]
    tokens = [*CONTROL_TOKENS, *byte_symbols(), *merged]
    if vocabulary is not None:
        if vocabulary < len(tokens):
            raise ValueError(f"the tiny vocabulary has {len(tokens)} tokens, not {vocabulary}")
        tokens += [f"filler{i}" for i in range(vocabulary - len(tokens))]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [
            3 if index < len(CONTROL_TOKENS) else 1 for index in range(len(tokens))
        ],
        "tokenizer.ggml.merges": list(MERGES),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
    }
