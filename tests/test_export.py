from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from foreword.bundle.home import device_dir
from foreword.bundle.store import Bundle, open_bundle
from foreword.errors import BundleError, OutputError, UnsupportedModelError
from foreword.export import (
    device_bundle,
    drop_device_bundle,
    export_browser,
    export_phone,
    obstacle,
)
from tiny import load_tiny, write_tiny_bundle


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return open_bundle(write_tiny_bundle(tmp_path_factory.mktemp("export"))[1])


def logits(path: Path, tokens: list[int]) -> np.ndarray:
    with load_tiny(path) as engine:
        return np.array(engine.logits(tokens))


@pytest.mark.parametrize("decode_only", [False, True])
def test_the_form_for_browsers_is_a_bundle_with_the_same_logits(
    source: Bundle, decode_only: bool, tmp_path: Path
) -> None:
    made = export_browser(source, tmp_path / "made", decode_only)
    assert made.manifest.signatures == (("decode",) if decode_only else ("decode", "prefill_4"))
    assert open_bundle(made.path, verify=True).manifest.shape == source.manifest.shape
    assert made.tokenizer_path.read_bytes() == source.tokenizer_path.read_bytes()
    tokens = [1 + i % 60 for i in range(40)]
    np.testing.assert_allclose(logits(made.path, tokens), logits(source.path, tokens), atol=1e-4)


def test_the_figures_of_another_form_are_not_kept(source: Bundle, tmp_path: Path) -> None:
    assert export_browser(source, tmp_path / "made").manifest.report is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"recipe": "int4"}, "4-bit weights"),
        ({"shape": "int8"}, "int8 cache"),
        ({"files": 700_000_000}, "700 MB"),
    ],
)
def test_what_no_browser_can_run_is_refused_with_its_reason(
    source: Bundle, change: dict[str, object], reason: str, tmp_path: Path
) -> None:
    manifest = source.manifest
    assert obstacle(manifest) is None
    if "shape" in change:
        change = {"shape": dataclasses.replace(manifest.shape, cache_dtype="int8")}
    if "files" in change:
        entry = dataclasses.replace(manifest.files["model.tflite"], size_bytes=700_000_000)
        change = {"files": {**manifest.files, "model.tflite": entry}}
    strange = Bundle(source.path, dataclasses.replace(manifest, **change))
    with pytest.raises(UnsupportedModelError, match=reason):
        export_browser(strange, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_damaged_bundle_is_not_exported(tmp_path: Path) -> None:
    path = write_tiny_bundle(tmp_path)[1]
    model = path / "model.tflite"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    with pytest.raises(BundleError, match="SHA-256"):
        export_browser(open_bundle(path), tmp_path / "made")


def test_what_is_at_the_destination_stays(source: Bundle, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="free path"):
        export_browser(source, tmp_path)


def test_a_devices_bundle_is_made_once_and_dropped_with_its_source(source: Bundle) -> None:
    path = device_bundle(source.path)
    assert path.parent == device_dir()
    made = (path / "model.tflite").stat()
    assert device_bundle(source.path) == path
    assert (path / "model.tflite").stat() == made
    assert drop_device_bundle(source) > made.st_size
    assert not path.exists()


def test_a_damaged_device_bundle_is_made_anew(source: Bundle) -> None:
    model = device_bundle(source.path) / "model.tflite"
    size_bytes = model.stat().st_size
    model.write_bytes(b"")
    device_bundle(source.path)
    assert model.stat().st_size == size_bytes


def test_the_form_for_phones_has_a_short_context_and_the_same_logits(tmp_path: Path) -> None:
    source = open_bundle(write_tiny_bundle(tmp_path, context=256)[1])
    made = export_phone(source, tmp_path / "made")
    assert made.manifest.signatures == ("decode", "prefill_4")
    assert open_bundle(made.path, verify=True).manifest.shape.context == 128
    tokens = [1 + i % 60 for i in range(40)]
    np.testing.assert_allclose(logits(made.path, tokens), logits(source.path, tokens), atol=1e-4)


def test_a_bundle_with_a_short_context_keeps_it_on_phones(source: Bundle, tmp_path: Path) -> None:
    made = export_phone(source, tmp_path / "made")
    assert made.manifest.shape == source.manifest.shape
