"""LiteRT kept at arm's length: what it refuses, and what it must never be given."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from command import SOURCES
from foreword.bundle.store import Bundle, open_bundle
from foreword.engine import cache, litert_graph, runtime
from foreword.engine.cache import aligned
from foreword.engine.graph import signature_name, widths_by_kind
from foreword.engine.litert_graph import LiteRtGraph
from foreword.engine.runtime import IN_MEMORY
from foreword.errors import EngineError
from tiny import CONTEXT, write_tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return open_bundle(write_tiny_bundle(tmp_path_factory.mktemp("tiny"), recipe="int8")[1])


def compile_tiny(
    bundle: Bundle,
    model: Path | None = None,
    signatures: tuple[str, ...] | None = None,
    weight_cache: Path | None = None,
    **shape: int,
) -> LiteRtGraph:
    return LiteRtGraph(
        model or bundle.model_path,
        dataclasses.replace(bundle.manifest.shape, **shape),  # type: ignore[arg-type]
        signatures or bundle.manifest.signatures,
        1,
        weight_cache,
    )


def refusal(bundle: Bundle, **changes: object) -> str:
    """Check that the runtime refuses in one line, and return it."""
    with pytest.raises(EngineError) as refused:
        compile_tiny(bundle, **changes)  # type: ignore[arg-type]
    message = str(refused.value)
    assert "\n" not in message
    assert "foreword inspect --verify" in message
    return message


@pytest.mark.parametrize("content", [b"", b"\0", b"TFL3" * 4, b"hello\n" * 200], ids=repr)
def test_a_file_that_is_no_model_is_refused_in_one_line(
    bundle: Bundle, tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(content)
    assert refusal(bundle, model=model).startswith("model.tflite could not be loaded")
    assert capfd.readouterr() == ("", "")


def test_a_missing_model_is_refused_in_one_line(bundle: Bundle, tmp_path: Path) -> None:
    assert "could not be loaded" in refusal(bundle, model=tmp_path / "none.tflite")


@pytest.mark.parametrize("signature", ["prefill_5", "verify_3"])
def test_a_signature_that_is_missing_is_named(bundle: Bundle, signature: str) -> None:
    message = refusal(bundle, signatures=("decode", signature))
    assert f"signature {signature} is missing" in message


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ({"context": CONTEXT - 8}, "mask of decode has shape [1, 1, 1, 48]"),
        ({"context": CONTEXT + 8}, "mask of decode has shape [1, 1, 1, 48]"),
        ({"kv_heads": 1}, "kv_cache_k_0 of decode has shape [1, 2, 48, 16]"),
        ({"kv_heads": 4, "head_dim": 8}, "kv_cache_k_0 of decode has shape [1, 2, 48, 16]"),
        ({"head_dim": 32}, "kv_cache_k_0 of decode has shape [1, 2, 48, 16]"),
        # Without a check the runtime writes past the end of the logits.
        ({"vocabulary": 100}, "logits of decode has shape [1, 1, 299]"),
        ({"vocabulary": 5000}, "logits of decode has shape [1, 1, 299]"),
        ({"layers": 1}, "inputs of decode differ from the manifest"),
        ({"layers": 3}, "inputs of decode differ from the manifest"),
    ],
    ids=str,
)
def test_shapes_the_manifest_has_wrong_are_refused_before_a_run(
    bundle: Bundle, shape: dict[str, int], found: str
) -> None:
    assert found in refusal(bundle, **shape)


def test_a_context_that_does_not_fit_in_memory_is_an_engine_error(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(litert_graph, "aligned", exhausted)
    with pytest.raises(EngineError, match="not enough memory for a context of 48 tokens"):
        compile_tiny(bundle)


def test_a_closed_model_does_not_run(bundle: Bundle) -> None:
    graph = compile_tiny(bundle)
    graph.close()
    graph.close()
    with pytest.raises(EngineError, match="closed"):
        graph.run("decode", [1], 0)


def test_weights_packed_anywhere_give_the_same_logits(bundle: Bundle, tmp_path: Path) -> None:
    logits = []
    for place in (None, IN_MEMORY, tmp_path / "packed", tmp_path / "none" / "packed"):
        graph = compile_tiny(bundle, weight_cache=place)
        found = graph.run("decode", [40], 0)
        assert found is not None
        logits.append(found.tobytes())
        graph.close()
    assert len(set(logits)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["packed"]
    assert not IN_MEMORY.exists()


def test_nothing_is_written_to_the_standard_streams(
    bundle: Bundle, capfd: pytest.CaptureFixture[str]
) -> None:
    graph = compile_tiny(bundle)
    graph.run("decode", [40], 0)
    graph.close()
    assert capfd.readouterr() == ("", "")
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def test_a_process_without_stderr_can_load(bundle: Bundle) -> None:
    program = (
        "import os, sys, foreword; os.close(2);"
        "engine = foreword.load(sys.argv[1], threads=1);"
        "params = foreword.SamplingParams(max_new_tokens=3, ignore_eos=True);"
        "print(len(list(engine.stream([40], params))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(bundle.path)],
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "3\n")


def test_another_version_of_the_runtime_is_refused_with_the_one_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "1.0.0")
    with pytest.raises(EngineError, match=r"1\.0\.0 is installed: pip install ai-edge-litert=="):
        runtime._library.__wrapped__()


def test_a_runtime_that_is_not_installed_is_refused_with_the_one_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(EngineError, match="none is installed: pip install ai-edge-litert=="):
        runtime._library.__wrapped__()


@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple),
    st.sampled_from(["float32", "int32"]),
)
def test_aligned_arrays_are_zero_and_their_blocks_can_be_bound(
    shape: tuple[int, ...], dtype: str
) -> None:
    array = aligned(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert not array.any()
    assert array.ctypes.data % 64 == 0
    if len(shape) > 2:
        for block in array:
            assert block.ctypes.data % 64 == 0
            assert block.flags.c_contiguous
    else:
        assert array.flags.c_contiguous
    array[...] = np.arange(array.size).reshape(shape)
    assert array.ravel().tolist() == list(range(array.size))


def test_widths_are_sorted_by_kind() -> None:
    names = ("prefill_32", "decode", "verify_8", "prefill_4")
    expected = {"decode": (1,), "prefill": (4, 32), "verify": (8,)}
    assert widths_by_kind((*names, "s16_prefill_8")) == expected
    assert widths_by_kind(["decode"]) == {"decode": (1,), "prefill": (), "verify": ()}


def test_another_number_of_threads_gives_the_same_logits_over_the_same_cache(
    bundle: Bundle, tmp_path: Path
) -> None:
    numbers = iter([1, 1, 2, 2, 1, 3])
    graph = LiteRtGraph(
        bundle.model_path,
        bundle.manifest.shape,
        bundle.manifest.signatures,
        lambda: next(numbers),
        tmp_path / "packed",
    )
    alone = compile_tiny(bundle)
    for position, token in enumerate([40, 41, 42, 43, 44]):
        found, expected = (g.run("decode", [token], position) for g in (graph, alone))
        assert found is not None
        assert expected is not None
        np.testing.assert_array_equal(found, expected)
    graph.close()
    alone.close()


def test_where_weights_would_be_packed_again_threads_stay_as_they_are(bundle: Bundle) -> None:
    numbers = iter([1, 2, 2])
    graph = LiteRtGraph(
        bundle.model_path, bundle.manifest.shape, bundle.manifest.signatures, lambda: next(numbers)
    )
    compiled = graph._compiled
    graph.run("decode", [40], 0)
    assert graph._compiled is compiled
    graph.close()


def test_every_signature_and_length_shares_the_packed_weights(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "STEP", 16)
    threads = [1]
    graph = LiteRtGraph(
        bundle.model_path,
        bundle.manifest.shape,
        bundle.manifest.signatures,
        lambda: threads[0],
        tmp_path / "packed",
    )
    packed = (tmp_path / "packed").stat()
    for slots in (16, 48, 16):
        threads[0] = 3 - threads[0]
        graph.make_room(0, slots)
        for kind, widths in graph.widths.items():
            for width in widths:
                graph.run(signature_name(kind, width), [40] * width, 0)
    graph.close()
    now = (tmp_path / "packed").stat()
    assert (now.st_size, now.st_mtime_ns) == (packed.st_size, packed.st_mtime_ns)
    # Packed once: about as large as the model, not as often as there are signatures.
    assert packed.st_size < 2 * bundle.model_path.stat().st_size
