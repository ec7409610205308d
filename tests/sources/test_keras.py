"""KerasHub beside Foreword: the same models by every way in, and the same tokens."""

from __future__ import annotations

import filecmp
import io
import json
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from tokenizers.pre_tokenizers import ByteLevel

import foreword
from command import refusal, run, tree
from foreword.bundle.tokenizer import Tokenizer
from foreword.errors import OutputError, SourceError, UsageError
from foreword.sources.byte_level import SPLITS, byte_level_tokenizer
from foreword.sources.keras import open_live, preset_handle
from foreword.sources.keras_tokenizer import CLASSES, tokenizer_from_keras
from foreword.sources.model import TokenizerSource
from gpt2_files import gpt2_files
from tiny_keras import ROWS, vocabulary

pytestmark = pytest.mark.keras

GOLDEN = Path(__file__).parents[2] / "testdata" / "golden" / "tokenizer" / "smollm2.json"
SHAPE = {"vocabulary_size": ROWS, "num_layers": 2, "hidden_dim": 16, "intermediate_dim": 32}
MERGES = ["h e", "Ġ t", "Ġt he"]
CONVERT: dict[str, Any] = {"recipe": "float32", "context": 32, "prefill": (8,)}

Encode = Callable[[str], Iterable[int]]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    cases = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
    return [case["text"] for case in cases]


def gpt2() -> Any:
    import keras
    import keras_hub

    keras.utils.set_random_seed(1)
    tokenizer = keras_hub.models.GPT2Tokenizer(vocabulary=vocabulary(), merges=MERGES)
    return keras_hub.models.GPT2CausalLM(
        backbone=keras_hub.models.GPT2Backbone(**SHAPE, num_heads=2, max_sequence_length=64),
        preprocessor=keras_hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=16),
    )


def llama() -> Any:
    import keras
    import keras_hub

    keras.utils.set_random_seed(2)
    proto = trained(["the quick brown fox"] * 9, "bpe", vocab_size=290)
    tokenizer = keras_hub.models.LlamaTokenizer(proto)
    heads = {"num_query_heads": 4, "num_key_value_heads": 2}
    return keras_hub.models.LlamaCausalLM(
        backbone=keras_hub.models.LlamaBackbone(**SHAPE | {"vocabulary_size": 300}, **heads),
        preprocessor=keras_hub.models.LlamaCausalLMPreprocessor(tokenizer, sequence_length=16),
    )


def trained(texts: Iterable[str], kind: str, **options: Any) -> bytes:
    """A SentencePiece proto trained on lines of text."""
    import sentencepiece

    lines = [line for text in texts for line in text.split("\n") if line.strip("\0 ")]
    proto = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for line in lines if "\0" not in line]),
        model_writer=proto,
        model_type=kind,
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
        **options,
    )
    return proto.getvalue()


def adapted(model: Any) -> Any:
    """The model with LoRA adapters that change what it says."""
    model.backbone.enable_lora(4)
    random = np.random.default_rng(5)
    for layer in model.backbone._flatten_layers():
        for name in ("lora_kernel_b", "lora_embeddings_b"):
            if getattr(layer, "lora_enabled", False) and hasattr(layer, name):
                weight = getattr(layer, name)
                weight.assign(random.normal(0, 0.5, weight.shape))
    return model


# One model by every way in


@pytest.mark.parametrize("make", [gpt2, llama], ids=["gpt2", "llama"])
@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer:UserWarning")
def test_a_model_gives_the_same_bundle_live_as_a_preset_and_as_a_keras_file(
    tmp_path: Path, home: Path, make: Callable[[], Any]
) -> None:
    model = make()
    model.save_to_preset(str(tmp_path / "preset"))
    model.save(tmp_path / "model.keras")
    live = foreword.convert(model, tmp_path / "live", **CONVERT)
    for source in ("preset", "model.keras"):
        bundle = foreword.convert(tmp_path / source, tmp_path / f"{source}-bundle", **CONVERT)
        for file in ("model.tflite", "tokenizer.json"):
            assert filecmp.cmp(live.path / file, bundle.path / file, shallow=False), source
    assert live.manifest.provenance.source == model.name
    assert [name for name in tree(home / "downloads") if "partial" in name] == []


@pytest.mark.parametrize("make", [gpt2, llama], ids=["gpt2", "llama"])
def test_what_is_converted_says_what_the_adapted_model_says(
    tmp_path: Path, make: Callable[[], Any]
) -> None:
    model = make()
    ids = [5, 66, 7, 80, 11, 250]
    inputs = {"token_ids": np.array([ids]), "padding_mask": np.ones((1, len(ids)), "int32")}
    plain = np.asarray(model(inputs))[0, -1]
    expected = np.asarray(adapted(model)(inputs))[0, -1]
    assert np.abs(expected - plain).max() > 0.01
    foreword.convert(model, tmp_path / "bundle", **CONVERT)
    params = foreword.SamplingParams(max_new_tokens=1, temperature=0, logprobs=True)
    with foreword.load(tmp_path / "bundle") as engine:
        [step] = engine.stream(ids, params)
    assert step.token_id == expected.argmax()
    shifted = expected - expected.max()
    logprob = (shifted - np.log(np.exp(shifted).sum()))[step.token_id]
    assert step.logprob == pytest.approx(logprob, abs=1e-4)


def test_a_backbone_and_a_model_without_a_tokenizer_are_told_what_to_give(tmp_path: Path) -> None:
    model = gpt2()
    with pytest.raises(UsageError, match=r"GPT2Backbone.*give the CausalLM with its preproc"):
        foreword.convert(model.backbone, tmp_path / "bundle")
    model.preprocessor = None
    with pytest.raises(UsageError, match=r"has no preprocessor.*set causal_lm.preprocessor"):
        foreword.convert(model, tmp_path / "bundle")


def test_a_model_that_cannot_be_saved_is_refused_in_one_line(tmp_path: Path) -> None:
    model = gpt2()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        open_live(model, tmp_path / "file")
    model.backbone.get_config = lambda: 1 / 0
    with pytest.raises(SourceError, match="KerasHub could not save this model") as caught:
        open_live(model, tmp_path / "staging")
    assert "\n" not in str(caught.value)


# Presets


def test_a_preset_is_known_by_its_name_and_the_nearest_are_told() -> None:
    assert preset_handle("gpt2_base_en").startswith("kaggle://keras/gpt2/keras/gpt2_base_en")
    with pytest.raises(SourceError, match=r"no preset 'gpt2_base_ne'.*did you mean gpt2_base_en"):
        preset_handle("gpt2_base_ne")
    with pytest.raises(SourceError, match="'bert_base_en' is no causal language model"):
        preset_handle("bert_base_en")


def test_a_preset_without_a_network_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    message = refusal(run("convert", "keras:gpt2_base_en", "-o", tmp_path / "bundle"))
    assert message.startswith("keras:gpt2_base_en: could not be fetched (")
    assert "copy the model's folder from a machine that has it" in message
    message = refusal(run("convert", "keras:no_such_preset", "-o", tmp_path / "bundle"))
    assert "KerasHub has no preset 'no_such_preset'" in message


# Tokenizers


def ours(tokenizer: Any, directory: Path, rows: int) -> tuple[TokenizerSource, Tokenizer]:
    """Our tokenizer from the files that KerasHub's saves."""
    tokenizer.save_assets(str(directory))
    source = tokenizer_from_keras(
        type(tokenizer).__name__, tokenizer.get_config(), directory, add_start=True, rows=rows
    )
    path = directory / "tokenizer.json"
    path.write_text(source.json, encoding="utf-8")
    return source, Tokenizer.from_file(path)


def different(mine: Tokenizer, theirs: Encode, texts: Iterable[str]) -> list[str]:
    return [text for text in texts if mine.encode(text) != [int(i) for i in theirs(text)]]


def batch(encode: Callable[[list[str]], Iterable[Any]], texts: list[str]) -> Encode:
    """An encoder that looks up what was encoded in one batch."""
    found = dict(zip(texts, encode(texts), strict=True))
    return lambda text: [int(i) for i in found[text]]


# Where KerasHub's GPT-2 in a graph does not cut as GPT-2 does: TensorFlow's regular expressions
# have no look-ahead and know no Unicode spaces, and it marks places with a Devanagari six.
DEVIATIONS = {
    "a control token that is typed is text here": re.escape("<|endoftext|>"),
    "the text ends at a NUL": "\0",
    "the mark is dropped where it was typed": "६",
    "U+0085 is no space": "\x85",
    "spaces that end in a line break are one piece before a word": r"(?<=\s)[\n\r\t\f](?=\S)",
}


def test_gpt2_is_cut_and_merged_as_by_keras_hub_in_a_graph(
    tmp_path: Path, texts: list[str]
) -> None:
    import keras_hub

    encoder, merges = gpt2_files()
    rules = merges.read_text(encoding="utf-8").split("\n")[1:]
    tokenizer = keras_hub.models.GPT2Tokenizer(
        vocabulary=json.loads(encoder.read_text()), merges=[rule for rule in rules if rule]
    )
    source, mine = ours(tokenizer, tmp_path, 50257)
    assert (source.start, source.end, source.prepend_start) == (50256, (50256,), True)
    assert different(mine, reference_gpt2(encoder, rules), texts) == []

    graph = batch(tokenizer._tokenize_tf, texts)
    wrong = different(mine, graph, texts)
    assert len(wrong) == 49
    causes = re.compile("|".join(DEVIATIONS.values()))
    assert [text for text in wrong if not causes.search(text)] == []
    # Without the causes nothing differs: they are all there is.
    joined = re.compile(r"\s*([\n\r\t\f])(?=\S)")
    neutral = [joined.sub(r"\1", re.sub("<\\|endoftext\\|>|[\0६\x85]", "", text)) for text in texts]
    neutral = list(dict.fromkeys(neutral))
    assert different(mine, batch(tokenizer._tokenize_tf, neutral), neutral) == []


def reference_gpt2(encoder: Path, rules: list[str]) -> Encode:
    """GPT-2's own way of tokenizing (Radford et al. 2019), slow and plain."""
    import regex

    cut = regex.compile(
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    )
    ids = json.loads(encoder.read_text())
    ranks = {tuple(rule.split(" ")): rank for rank, rule in enumerate(rules)}
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    symbols = {byte: chr(byte) for byte in printable}
    symbols |= {byte: chr(256 + i) for i, byte in enumerate(others)}

    def merged(word: str) -> list[str]:
        parts = [symbols[byte] for byte in word.encode()]
        while len(parts) > 1:
            best = min(pairwise(parts), key=lambda pair: ranks.get(pair, 1e9))
            if best not in ranks:
                break
            done: list[str] = []
            at = 0
            while at < len(parts):
                taken = 2 if tuple(parts[at : at + 2]) == best else 1
                done.append("".join(parts[at : at + taken]))
                at += taken
            parts = done
        return parts

    return lambda text: [ids[part] for word in cut.findall(text) for part in merged(word)]


def bpe_of(texts: list[str], split: str, special: list[str]) -> tuple[dict[str, int], list[str]]:
    """A byte-level vocabulary of 2,000 tokens trained on the texts, and its merges."""
    base = {symbol: i for i, symbol in enumerate(sorted(ByteLevel.alphabet()))}
    core = tokenizers.Tokenizer.from_str(byte_level_tokenizer(base, [], SPLITS[split]))
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=2000, initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    core.train_from_iterator(texts, trainer)
    model = json.loads(core.to_str())["model"]
    size = len(model["vocab"])
    extra = {token: size + i for i, token in enumerate(special)}
    return model["vocab"] | extra, [" ".join(merge) for merge in model["merges"]]


@pytest.mark.parametrize(
    ("name", "split", "own"),
    [("Llama3Tokenizer", "llama3", "llama3"), ("MistralTekkenTokenizer", "llama3", "llama3")],
)
def test_a_pattern_of_llama_3_cuts_as_in_keras_hub(
    tmp_path: Path, texts: list[str], name: str, split: str, own: str
) -> None:
    import keras_hub
    from keras_hub.src.tokenizers import byte_pair_tokenizer

    kind = CLASSES[name]
    special = [token for token in (kind.start, kind.end, *kind.more_ends) if token]
    special += ["<|start_header_id|>", "<|end_header_id|>"]
    vocabulary, merges = bpe_of(texts, split, special)
    pattern = byte_pair_tokenizer.SPLIT_PATTERN_TOKENIZERS
    options = {"split_pattern": pattern} if kind.split == "own" else {}
    tokenizer = getattr(keras_hub.models, name)(vocabulary=vocabulary, merges=merges, **options)
    if kind.split != "own":
        # Up to KerasHub 0.31 the pattern is given as a text to look for, and nothing is cut.
        pieces = tokenizer._tokenizer.pre_tokenizer.pre_tokenize_str("two words")
        assert [piece for piece, _ in pieces] == ["twoĠwords"]
        tokenizer._tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
            [
                tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated"),
                ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    _, mine = ours(tokenizer, tmp_path, len(vocabulary) + 3)
    wrong = different(mine, tokenizer._tokenize_tokenizers, texts)
    # KerasHub takes a control token that is typed for one.
    control = re.compile("|".join(map(re.escape, tokenizer.unsplittable_tokens)))
    assert wrong == [text for text in texts if control.search(text)]
    assert 0 < len(wrong) < 20
    neutral = [control.sub("", text) for text in texts]
    assert different(mine, tokenizer._tokenize_tokenizers, neutral) == []


LLAMA = {
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "allow_whitespace_only_pieces": True,
}
GEMMA = LLAMA | {
    "add_dummy_prefix": False,
    "user_defined_symbols": ["▁▁", "▁▁▁", "▁▁▁▁", "\n\n", "<tag>"],
}


@pytest.mark.parametrize("path", ["python", "graph"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [("bpe", LLAMA), ("bpe", GEMMA), ("bpe", {}), ("unigram", {}), ("unigram", LLAMA)],
    ids=["llama", "gemma", "bpe-nfkc", "unigram-nfkc", "unigram"],
)
def test_sentencepiece_cuts_as_in_keras_hub(
    tmp_path: Path, texts: list[str], kind: str, options: dict[str, Any], path: str
) -> None:
    import keras_hub

    proto = trained(texts, kind, vocab_size=2500, character_coverage=0.995, **options)
    tokenizer = keras_hub.models.LlamaTokenizer(proto)
    source, mine = ours(tokenizer, tmp_path, tokenizer.vocabulary_size() + 7)
    assert (source.start, source.end) == (1, (2,))
    encode = tokenizer._tokenize_spm if path == "python" else tokenizer._tokenize_tf
    theirs = batch(encode, texts)
    wrong = different(mine, theirs, texts)
    # Sums of Unigram's scores are float32 there and float64 here, so equal ones may fall either
    # way: the same tokens in another order.
    same = [text for text in wrong if sorted(mine.encode(text)) == sorted(theirs(text))]
    assert wrong == (same if kind == "unigram" else [])
    assert len(wrong) < 20


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_special_tokens_are_those_of_keras_hub(tmp_path: Path, name: str) -> None:
    import keras_hub

    kind = CLASSES[name]
    special = [token for token in (kind.start, kind.end, *kind.more_ends) if token]
    others = ["<pad>", "<|endoftext|>", "<think>", "</think>", "<|begin_of_text|>", "<img>"]
    others += ["<|start_header_id|>", "<|end_header_id|>", "<start_of_image>", "<end_of_image>"]
    special = list(dict.fromkeys(special + others))
    make = getattr(keras_hub.models, name)
    if kind.split is None:
        symbols = [token for token in special if token not in ("<s>", "</s>", "<bos>", "<eos>")]
        pieces = {"bos_piece": kind.start}
        if kind.end in ("</s>", "<eos>"):
            pieces["eos_piece"] = kind.end
        proto = trained(["a b c"] * 9, "bpe", vocab_size=400, control_symbols=symbols, **pieces)
        tokenizer = make(proto)
    else:
        tokens = [*sorted(ByteLevel.alphabet()), *special]
        options = {"split_pattern": "a"} if kind.split == "own" else {}
        tokenizer = make({token: i for i, token in enumerate([*tokens, "ab"])}, ["a b"], **options)
    source, mine = ours(tokenizer, tmp_path, tokenizer.vocabulary_size())
    assert source.start == tokenizer.start_token_id
    ends = {tokenizer.end_token_id, getattr(tokenizer, "end_token2_id", tokenizer.end_token_id)}
    assert ends <= set(source.end)
    assert all(mine.token_bytes(i) == b"" for i in tokenizer.special_token_ids)
