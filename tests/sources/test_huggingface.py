"""Checkpoint folders: a sound one converts and runs, every other one is refused in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import foreword
from foreword.engine.sampling import SamplingParams
from foreword.errors import SourceError, UnsupportedModelError
from foreword.graph.spec import weight_shapes
from foreword.sources.huggingface import open_hugging_face
from tiny import load_tiny
from tiny_hf import (
    DTYPES,
    VOCABULARY,
    FloatArray,
    llama_arrays,
    llama_config,
    tiny_tokenizer,
    write_checkpoint,
    write_json,
)

PADDED = VOCABULARY + 21


def write_llama(
    folder: Path,
    config: dict[str, object] | None = None,
    arrays: dict[str, FloatArray] | None = None,
    **options: Any,
) -> Path:
    return write_checkpoint(
        folder,
        llama_config() if config is None else config,
        llama_arrays() if arrays is None else arrays,
        tiny_tokenizer(),
        **options,
    )


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder, whose config.json is written over and over."""
    return write_llama(tmp_path_factory.mktemp("scratch") / "tiny")


def refusal(path: Path, kind: type[SourceError] = SourceError) -> str:
    with pytest.raises(SourceError) as caught:
        open_hugging_face(path)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")


# Sound folders


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_complete_folder_gives_every_weight_of_its_spec(
    tmp_path: Path, dtype: str, shards: int
) -> None:
    arrays = llama_arrays()
    folder = write_llama(tmp_path / "My Llama-1.5", arrays=arrays, dtype=dtype, shards=shards)
    model = open_hugging_face(folder)
    assert (model.family, model.name, model.license) == ("llama", "My Llama-1.5", "unknown")
    assert model.sha256 is None
    tokenizer = model.tokenizer
    assert (tokenizer.start, tokenizer.end, tokenizer.prepend_start) == (1, (0, 2), False)
    for name, shape in weight_shapes(model.decoder.spec).items():
        weight = model.decoder.load(name)
        assert (weight.shape, weight.dtype) == (shape, np.float32)
    stored = {name: array.astype(DTYPES[dtype]) for name, array in arrays.items()}
    for name, source in {
        "embedding": "model.embed_tokens.weight",
        "layers.1.q.weight": "model.layers.1.self_attn.q_proj.weight",
        "layers.0.down.weight": "model.layers.0.mlp.down_proj.weight",
        "output.weight": "lm_head.weight",
    }.items():
        assert_array_equal(model.decoder.load(name), stored[source].astype(np.float32))


@pytest.mark.parametrize("rows", [VOCABULARY, PADDED])
def test_a_folder_converts_and_completes_the_same_text_each_time(tmp_path: Path, rows: int) -> None:
    folder = write_llama(tmp_path / "tiny", arrays=llama_arrays(rows), dtype="BF16", shards=2)
    bundle = foreword.convert(folder, tmp_path / "bundle", recipe="float32", context=48)
    assert bundle.manifest.shape.vocabulary == rows
    assert bundle.manifest.provenance.source == "tiny"
    params = SamplingParams(max_new_tokens=30, ignore_eos=True, logprobs=True)
    runs = []
    for _ in range(2):
        with load_tiny(bundle.path) as engine:
            runs.append(list(engine.stream(engine.encode("I am in the"), params)))
            assert engine.tokenizer.vocabulary_size == rows
            # Whatever the model may choose has a text, if an empty one.
            engine.decode(range(rows))
    assert runs[0] == runs[1]
    assert len(runs[0]) == 30
    assert all(step.logprob is not None and np.isfinite(step.logprob) for step in runs[0])


def test_gpt2_as_it_was_first_published_converts_and_completes(tmp_path: Path) -> None:
    # No prefix, causal masks among the weights, a tokenizer in two files, no architectures.
    config = {
        **{"model_type": "gpt2", "n_embd": 32, "n_head": 2, "n_layer": 2},
        **{"bos_token_id": 0, "eos_token_id": 0},
    }
    random = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (VOCABULARY, 32), "wpe.weight": (64, 32)}
    shapes |= {"ln_f.weight": (32,), "ln_f.bias": (32,)}
    for i in range(2):
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"h.{i}.{norm}.weight": (32,), f"h.{i}.{norm}.bias": (32,)}
        for name, size in {
            "attn.c_attn": (32, 96),
            "attn.c_proj": (32, 32),
            "mlp.c_fc": (32, 128),
            "mlp.c_proj": (128, 32),
        }.items():
            shapes |= {f"h.{i}.{name}.weight": size, f"h.{i}.{name}.bias": size[1:]}
    arrays = {
        name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()
    }
    arrays |= {f"h.{i}.attn.bias": np.ones((1, 1, 64, 64), np.float32) for i in range(2)}
    arrays |= {f"h.{i}.attn.masked_bias": np.full((), -1e4, np.float32) for i in range(2)}
    folder = write_checkpoint(tmp_path / "gpt2", config, arrays)
    model = tiny_tokenizer()["model"]
    write_json(folder / "vocab.json", model["vocab"])
    merges = "".join(" ".join(pair) + "\n" for pair in model["merges"])
    (folder / "merges.txt").write_text("#version: 0.2\n" + merges, encoding="utf-8")
    bundle = foreword.convert(folder, tmp_path / "bundle", recipe="float32", context=48)
    assert bundle.manifest.shape.family == "gpt2"
    with load_tiny(bundle.path) as engine:
        prompt = engine.encode("I am in the")
        assert engine.decode(prompt) == "I am in the"
        params = SamplingParams(max_new_tokens=20, ignore_eos=True)
        first, second = (list(engine.stream(prompt, params)) for _ in range(2))
    assert len(first) == 20
    assert first == second


def test_rows_beyond_the_tokenizer_change_no_logits_of_the_others(tmp_path: Path) -> None:
    arrays = llama_arrays(PADDED)
    cut = {name: array[:VOCABULARY] for name, array in arrays.items() if len(array) == PADDED}
    logprobs = []
    for name, these in (("padded", arrays), ("cut", arrays | cut)):
        folder = write_llama(tmp_path / name, arrays=these)
        bundle = foreword.convert(folder, tmp_path / f"{name}-bundle", recipe="float32", context=32)
        with load_tiny(bundle.path) as engine:
            logits = engine._graph.run("verify_8", [5, 6, 7], 0)
            assert logits is not None
            logprobs.append(logits[:, :VOCABULARY].copy())
    assert np.isfinite(logprobs[0]).all()
    assert_allclose(*logprobs, rtol=0, atol=1e-5)


def test_a_folder_given_by_a_relative_path_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_llama(tmp_path / "tiny")
    monkeypatch.chdir(folder)
    assert open_hugging_face(Path()).name == "tiny"
    assert open_hugging_face(Path("../tiny")).name == "tiny"


def test_opening_prints_nothing_and_leaves_no_file_open(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_llama(tmp_path / "tiny", shards=3)
    before = len(list(Path("/proc/self/fd").iterdir()))
    model = open_hugging_face(folder)
    model.decoder.load("embedding")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("readme", "config", "licence"),
    [
        (None, {}, "unknown"),
        (None, {"license": "apache-2.0"}, "apache-2.0"),
        (None, {"license": "\x1b[31mred"}, "unknown"),
        (None, {"license": 7}, "unknown"),
        ("---\nlanguage: en\nlicense: mit\ntags:\n- x\n---\n# Model", {}, "mit"),
        ("---\nlicense: 'cc-by-4.0'  # yes\n---\n", {}, "cc-by-4.0"),
        ('---\r\nlicense: "gemma"\r\n---\r\n', {}, "gemma"),
        ("---\nlicense:\n- mit\n---\n", {}, "unknown"),
        ("---\nlanguage: en\n---\nlicense: mit\n", {}, "unknown"),
        ("# Model\nlicense: mit\n", {}, "unknown"),
        ("", {}, "unknown"),
        (b"---\nlicense: \xff\n---", {}, "unknown"),
        ("---\nlicense: " + "x" * 200 + "\n---", {}, "x" * 100),
    ],
)
def test_the_licence_is_one_short_printable_line(
    tmp_path: Path, readme: str | bytes | None, config: dict[str, object], licence: str
) -> None:
    folder = write_llama(tmp_path / "tiny", llama_config(**config))
    if readme is not None:
        data = readme if isinstance(readme, bytes) else readme.encode()
        (folder / "README.md").write_bytes(data)
    assert open_hugging_face(folder).license == licence


# Refusals


def test_what_is_no_checkpoint_folder_is_told_so(tmp_path: Path) -> None:
    assert "found nothing of that name" in refusal(tmp_path / "missing")
    (tmp_path / "file").write_bytes(b"")
    assert "found a file" in refusal(tmp_path / "file")
    assert "found no config.json in it" in refusal(tmp_path)
    os.mkfifo(tmp_path / "config.json")
    assert "expected a file, found a directory or a device" in refusal(tmp_path)
    assert "cannot be read: " in refusal(tmp_path / ("x" * 300))


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (b"", "expected a JSON object, found Expecting value"),
        (b"[]", "found a list"),
        (b"\xff", "found 'utf-8' codec"),
        (b'{"a": 1, "a": 2}', "found a key given twice"),
        (b'{"a": -Infinity}', "found -Infinity, which is not JSON"),
        (b'{"a": ' + b"[" * 100_000, "found nesting too deep"),
        (b" " * (5 << 20), "expected at most 4194304 bytes, found 5242880"),
        (b"{}", "'model_type': expected the name of an architecture, found None"),
        (b'{"model_type": ["llama"]}', r"'model_type': expected the name .* found \['llama'\]"),
    ],
)
def test_a_config_that_is_none_is_refused(tmp_path: Path, config: bytes, found: str) -> None:
    (tmp_path / "config.json").write_bytes(config)
    with pytest.raises(SourceError, match=found):
        open_hugging_face(tmp_path)
    assert refusal(tmp_path).startswith("config.json: ")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"model_type": "bert"}, "architecture 'bert': an encoder"),
        ({"model_type": "t5"}, "architecture 't5': an encoder and a decoder"),
        ({"model_type": "mixtral"}, "architecture 'mixtral': a mixture of experts"),
        ({"model_type": "qwen2_vl"}, "architecture 'qwen2_vl': a model of images and text"),
        ({"model_type": "../llama\n"}, r"architecture '../llama\n': unknown here; Foreword reads "),
        ({"is_encoder_decoder": True}, "this model is an encoder and a decoder"),
        (
            {"architectures": ["LlamaForSequenceClassification"]},
            "names 'LlamaForSequenceClassification', expected a causal language model",
        ),
        ({"architectures": ["LlamaModel", 7]}, "'LlamaModel, 7'"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantized (gptq), expected plain"),
        ({"quantization_config": True}, "quantized (unnamed), expected plain float weights"),
    ],
)
def test_models_of_other_kinds_are_refused_by_name(
    tmp_path: Path, changes: dict[str, object], found: str
) -> None:
    write_json(tmp_path / "config.json", llama_config(**changes))
    assert found in refusal(tmp_path, UnsupportedModelError)


@pytest.mark.parametrize("architectures", [None, [], ["LlamaForCausalLM"], "LlamaModel"])
def test_a_config_that_names_no_other_kind_is_taken(tmp_path: Path, architectures: object) -> None:
    folder = write_llama(tmp_path / "tiny", llama_config(architectures=architectures))
    assert open_hugging_face(folder).family == "llama"


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut(name: str) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size - 1)


def pickled(folder: Path) -> None:
    (folder / "model.safetensors.index.json").unlink()
    for shard in folder.glob("*.safetensors"):
        shard.rename(shard.with_suffix(".bin"))


SHARD = "model-00002-of-00002.safetensors"


@pytest.mark.parametrize(
    ("damage", "kind", "found"),
    [
        (remove(SHARD), SourceError, f"'{SHARD}' is missing from the folder"),
        (cut(SHARD), SourceError, "the file was cut short, get it again"),
        (pickled, UnsupportedModelError, "'model-00001-of-00002.bin' is a pickle"),
        (remove("model.safetensors.index.json"), SourceError, "found neither"),
        (remove("tokenizer.json"), UnsupportedModelError, "expected a tokenizer.json"),
        (cut("tokenizer.json"), SourceError, "tokenizer.json: expected a JSON object"),
    ],
)
def test_an_incomplete_folder_is_told_what_is_missing(
    tmp_path: Path, damage: Callable[[Path], None], kind: type[SourceError], found: str
) -> None:
    folder = write_llama(tmp_path / "tiny", shards=2)
    damage(folder)
    assert found in refusal(folder, kind)


def test_vocabularies_that_do_not_match_are_refused_with_both_numbers(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "tiny", arrays=llama_arrays(VOCABULARY - 9))
    assert f"{VOCABULARY} tokens and the embedding {VOCABULARY - 9} rows" in refusal(folder)


def test_a_weight_that_is_no_number_stops_the_conversion_by_its_name(tmp_path: Path) -> None:
    arrays = llama_arrays()
    arrays["model.layers.1.mlp.up_proj.weight"][3, 4] = np.nan
    folder = write_llama(tmp_path / "tiny", arrays=arrays)
    with pytest.raises(SourceError, match=r"'model\.layers\.1\.mlp\.up_proj\.weight' holds values"):
        foreword.convert(folder, tmp_path / "bundle", context=32)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny"]


def test_more_layers_than_tensors_are_refused_at_once(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "tiny", llama_config(num_hidden_layers=1 << 23))
    refusal(folder)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@given(
    key=st.sampled_from(
        [*llama_config(), "text_config", "rope_scaling", "quantization_config", "license"]
    ),
    value=json_values | st.sampled_from([0, 1, 2, 1 << 31, 1 << 62, 1e-320, 1e308]),
)
def test_no_value_in_config_json_gives_a_traceback(scratch: Path, key: str, value: object) -> None:
    (scratch / "config.json").write_text(json.dumps(llama_config() | {key: value}))
    message = ""
    try:
        open_hugging_face(scratch)
    except SourceError as error:
        message = str(error)
    assert message.isprintable()
