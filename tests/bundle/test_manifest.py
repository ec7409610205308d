import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.bundle import fields as f
from foreword.bundle import manifest as m
from foreword.bundle.card import Check, ReportCard
from foreword.bundle.manifest import (
    FileEntry,
    Manifest,
    Provenance,
    Shape,
    SpecialTokens,
)
from foreword.errors import BundleError

PATH = Path("somewhere/bundle.json")
MANIFEST = Manifest(
    shape=Shape("llama", 134_515_008, 30, 3, 64, 49152, 512),
    recipe="int8",
    signatures=("decode", "prefill_8", "prefill_128", "verify_8"),
    special_tokens=SpecialTokens(start=1, end=(0, 2), prepend_start=False),
    provenance=Provenance("smollm2-135m-instruct", "Apache-2.0", "b1" * 32),
    versions={"foreword": "0.1.0", "ai-edge-litert": "2.3.0"},
    files={
        "model.tflite": FileEntry(140_000_000, "0f" * 32),
        "tokenizer.json": FileEntry(2_000_000, "a0" * 32),
    },
)
CARD = ReportCard("check.txt", "c0" * 32, 1000, 2, "float32", {"perplexity": 19.5, "load_ms": 80})
CHECKED = replace(MANIFEST, check=Check("passed", "perplexity + 1 %"), report=CARD)
ABSENT = object()
"""In a test's table: the key is taken away."""


def document() -> dict[str, Any]:
    return json.loads(MANIFEST.to_json())


def altered(path: str, value: object) -> str:
    """The manifest's text with the value at a path such as `files/model.tflite/sha256` changed."""
    changed = document()
    *parents, last = path.split("/")
    place = changed
    for key in parents:
        place = place[key]
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value
    return json.dumps(changed)


def refusal(text: str) -> str:
    """The message with which a text is refused: one line that names the file."""
    with pytest.raises(BundleError) as caught:
        Manifest.from_json(text, PATH)
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(str(PATH))
    assert len(message) < 400
    return message


def sound_or_refused(text: str) -> Manifest | None:
    """The manifest, which must survive being written again, or None when it is properly refused."""
    try:
        read = Manifest.from_json(text, PATH)
    except BundleError:
        refusal(text)
        return None
    assert Manifest.from_json(read.to_json(), PATH) == read
    return read


def test_a_manifest_comes_back_as_it_was_written() -> None:
    assert Manifest.from_json(MANIFEST.to_json(), PATH) == MANIFEST


names = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=40)
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
shapes = st.builds(
    Shape,
    family=names,
    parameters=st.integers(1, m.MAX_PARAMETERS),
    layers=st.integers(1, 64),
    kv_heads=st.integers(1, 32),
    head_dim=st.integers(1, 256),
    vocabulary=st.integers(1000, m.MAX_VOCABULARY),
    context=st.integers(1, 8192),
    cache_dtype=st.sampled_from(m.CACHE_DTYPES),
)
widths = st.tuples(st.sampled_from(["prefill", "verify"]), st.integers(1, m.MAX_CONTEXT))
manifests = st.builds(
    Manifest,
    shape=shapes,
    recipe=names,
    signatures=st.lists(widths.map(lambda w: f"{w[0]}_{w[1]}"), unique=True, max_size=5).map(
        lambda listed: ("decode", *listed)
    ),
    special_tokens=st.builds(
        SpecialTokens,
        start=st.integers(0, 999),
        end=st.lists(st.integers(0, 999), max_size=5).map(tuple),
        prepend_start=st.booleans(),
    ),
    provenance=st.builds(Provenance, source=names, license=names, sha256=st.none() | hashes),
    versions=st.dictionaries(names, names, max_size=5),
    files=st.fixed_dictionaries(
        {
            name: st.builds(FileEntry, size_bytes=st.integers(1, most), sha256=hashes)
            for name, most in m.MAX_FILE_BYTES.items()
        }
    ),
)


@given(manifests)
def test_every_sound_manifest_survives_the_way_through_json(manifest: Manifest) -> None:
    assert Manifest.from_json(manifest.to_json(), PATH) == manifest


def test_the_format_version_comes_first_and_the_text_is_readable() -> None:
    lines = MANIFEST.to_json().splitlines()
    assert lines[:3] == ["{", '  "format_version": 1,', '  "family": "llama",']


def test_a_manifest_without_optional_values_is_sound() -> None:
    changed = document() | {"start_token": None, "source_sha256": None, "end_tokens": []}
    read = Manifest.from_json(json.dumps(changed | {"license": "", "versions": {}}), PATH)
    assert read.special_tokens == SpecialTokens(None, (), False)
    assert read.provenance.sha256 is None


def test_unknown_keys_are_tolerated_and_left_out() -> None:
    changed = document() | {"quality": {"perplexity": 17.5, "notes": [1, [2, None]]}}
    assert Manifest.from_json(json.dumps(changed), PATH) == MANIFEST


@pytest.mark.parametrize("version", [2, 10**30])
def test_a_newer_format_asks_for_an_upgrade(version: int) -> None:
    message = refusal(altered("format_version", version))
    assert "newer Foreword" in message
    assert "upgrade" in message


def test_a_newer_format_is_named_whatever_else_the_file_holds() -> None:
    assert "newer Foreword" in refusal('{"format_version": 7}')


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None, [], ABSENT])
def test_a_format_version_is_a_positive_whole_number(version: object) -> None:
    assert "'format_version'" in refusal(altered("format_version", version))


@pytest.mark.parametrize(
    "key", [key for key in document() if key not in ("quantization", "resizable")]
)
def test_no_key_may_be_missing(key: str) -> None:
    assert f"'{key}'" in refusal(altered(key, ABSENT))


def test_older_bundles_say_nothing_of_their_quantization() -> None:
    read = sound_or_refused(altered("quantization", ABSENT))
    assert read is not None
    assert read.quantization == {}


@pytest.mark.parametrize("value", [3, 1.5, True, None, "", [], {}, [[]], "text\x1b[31m", {"a": 1}])
@pytest.mark.parametrize("key", sorted(document().keys() - {"format_version"}))
def test_a_value_of_the_wrong_kind_is_refused_by_its_key(key: str, value: object) -> None:
    text = altered(key, value)
    if sound_or_refused(text) is None:
        assert f"'{key}" in refusal(text)


@pytest.mark.parametrize(
    ("key", "ceiling"),
    [
        ("parameters", m.MAX_PARAMETERS),
        ("layers", m.MAX_LAYERS),
        ("kv_heads", m.MAX_KV_HEADS),
        ("head_dim", m.MAX_HEAD_DIM),
        ("vocabulary", m.MAX_VOCABULARY),
        ("context", m.MAX_CONTEXT),
        ("files/model.tflite/size_bytes", m.MAX_FILE_BYTES["model.tflite"]),
        ("files/tokenizer.json/size_bytes", m.MAX_FILE_BYTES["tokenizer.json"]),
    ],
)
def test_a_size_lies_between_one_and_its_ceiling(key: str, ceiling: int) -> None:
    dotted = key.replace("/", ".")
    for value in (0, -1, ceiling + 1, 10**400, True, 8.0, "8", None):
        message = refusal(altered(key, value))
        assert f"'{dotted}' should be a whole number from 1 to {ceiling}" in message


def test_numbers_that_are_sane_alone_and_absurd_together_are_refused() -> None:
    changed = document() | {"layers": m.MAX_LAYERS, "kv_heads": 512, "head_dim": 512}
    assert "'context' should be at most" in refusal(json.dumps(changed))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("cache_dtype", "float16"),
        ("recipe", "int8\nint4"),
        ("family", "x" * 256),
        ("source", "\u202egnp.exe"),
        ("source", "\ud800"),
        ("license", None),
        ("source_sha256", "B1" * 32),
        ("source_sha256", "b1" * 31),
        ("source_sha256", ""),
        ("files/model.tflite/sha256", "0f" * 32 + "\n"),
        ("files/model.tflite/sha256", None),
        ("files/model.tflite", [1, "0f" * 32]),
        ("files/model.tflite", ABSENT),
        ("files/tokenizer.json", ABSENT),
        ("versions/foreword", 1),
        ("versions/\x1b[2J", "1"),
        ("start_token", 49152),
        ("start_token", -1),
        ("start_token", True),
        ("end_tokens/0", 49152),
        ("end_tokens", [0.0]),
        ("end_tokens", 0),
        ("end_tokens", [0] * (f.MAX_ENTRIES + 1)),
        ("prepend_start", 0),
        ("versions", {str(i): "1" for i in range(f.MAX_ENTRIES + 1)}),
    ],
)
def test_a_hostile_value_is_refused_in_one_line(path: str, value: object) -> None:
    changed = document()
    if path.startswith("end_tokens/"):
        changed["end_tokens"][0] = value
        refusal(json.dumps(changed))
    else:
        refusal(altered(path, value))


def test_a_check_and_a_report_are_kept_where_there_are_any() -> None:
    assert Manifest.from_json(CHECKED.to_json(), PATH) == CHECKED
    assert not {"check", "report"} & document().keys()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("check", []),
        ("check/verdict", "splendid"),
        ("check/reason", ""),
        ("check/reason", "\x1b[2J"),
        ("report", "good"),
        ("report/text", 1),
        ("report/text_sha256", None),
        ("report/tokens", 0),
        ("report/threads", ABSENT),
        ("report/against", ["float32"]),
        ("report/perplexity", True),
        ("report/perplexity", "19.5"),
        ("report/perplexity", -1),
        ("report/load_ms", 10**400),
        ("report/load_ms", 1e300),
    ],
)
def test_a_report_that_is_not_one_is_refused_in_one_line(path: str, value: object) -> None:
    changed = json.loads(CHECKED.to_json())
    *parents, last = path.split("/")
    place = changed
    for key in parents:
        place = place[key]
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value
    assert f"'{path.replace('/', '.')}'" in refusal(json.dumps(changed))


def test_a_start_token_that_is_not_there_cannot_be_prepended() -> None:
    changed = document() | {"start_token": None, "prepend_start": True}
    assert "'prepend_start'" in refusal(json.dumps(changed))


@pytest.mark.parametrize(
    "signatures",
    [
        [],
        ["prefill_8"],
        ["decode", "decode"],
        ["decode", "prefill_8", "prefill_8"],
        ["decode", "prefill_0"],
        ["decode", "prefill_08"],
        ["decode", "prefill_-8"],
        ["decode", "prefill_8\n"],
        ["decode", "prefill_٨"],
        ["decode", "prefill_9999999"],
        ["decode", "prefill_" + "9" * 5000],
        ["decode", "serving_default"],
        ["decode", "verify_"],
        ["decode", ""],
        ["decode", 8],
        ["decode", ["verify_8"]],
        "decode",
        {"decode": 1},
    ],
)
def test_only_known_signatures_named_once_are_accepted(signatures: object) -> None:
    assert "'signatures" in refusal(altered("signatures", signatures))


@pytest.mark.parametrize(
    "name",
    [
        "../model.tflite",
        "..",
        ".",
        "",
        "/etc/passwd",
        "C:\\model.tflite",
        "sub/model.tflite",
        "model.tflite\x00",
        "MODEL.TFLITE",
        "bundle.json",
        "other.bin",
        "\x1b]0;",
    ],
)
def test_no_file_but_the_known_two_may_be_named(name: str) -> None:
    changed = document()
    changed["files"][name] = changed["files"]["model.tflite"]
    assert "'files'" in refusal(json.dumps(changed))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "null",
        "[]",
        "1",
        '"text"',
        "{",
        "{} {}",
        "\ufeff{}",
        '{"format_version": NaN}',
        '{"quality": Infinity}',
        '{"quality": -Infinity}',
        '{"quality": ' + "9" * 5000 + "}",
        '{"a": "\x00"}',
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"quality": ' + "[" * 50_000 + "]" * 50_000 + "}",
        " " * (f.MAX_MANIFEST_BYTES + 1),
    ],
    ids=lambda text: ascii(text[:24]),
)
def test_what_is_not_a_small_json_object_is_refused(text: str) -> None:
    refusal(text)


def test_a_key_given_twice_is_refused() -> None:
    text = MANIFEST.to_json().replace('"layers": 30', '"layers": 30, "layers": 31')
    assert "twice" in refusal(text)


@given(st.text())
def test_random_text_is_refused_and_never_crashes(text: str) -> None:
    refusal(text)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(st.characters(exclude_categories=[]), max_size=20)
    | st.sampled_from(["decode", "prefill_8", "model.tflite", "0f" * 32]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*document(), "sha256"]) | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*document()]) | st.text(), json_values))
def test_random_json_is_refused_and_never_crashes(value: dict[str, object]) -> None:
    refusal(json.dumps(value))


@st.composite
def mutations(draw: st.DrawFn) -> dict[str, Any]:
    """A sound manifest with one to three places, at any depth, changed, taken away or added."""
    changed = copy.deepcopy(document())
    for _ in range(draw(st.integers(1, 3))):
        place: Any = changed
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            if draw(st.booleans()):
                place[key] = draw(json_values)
            else:
                del place[key]
            break
    return changed


@given(mutations())
def test_a_mutated_manifest_is_refused_or_still_says_something_sound(value: object) -> None:
    read = sound_or_refused(json.dumps(value))
    assert read is None or set(read.files) == {"model.tflite", "tokenizer.json"}


@given(st.integers(0, len(MANIFEST.to_json())))
def test_a_truncated_manifest_is_refused(length: int) -> None:
    whole = MANIFEST.to_json()
    if length < len(whole) - 1:
        refusal(whole[:length])


def test_signatures_of_shorter_caches_are_accepted() -> None:
    names = ["decode", "verify_8", "s64_decode", "s64_verify_8"]
    manifest = Manifest.from_json(altered("signatures", names), PATH)
    assert manifest.signatures == tuple(names)


def test_a_bundle_that_does_not_say_so_is_not_resizable() -> None:
    document = json.loads(MANIFEST.to_json())
    del document["resizable"]
    assert not Manifest.from_json(json.dumps(document), PATH).shape.resizable


@pytest.mark.parametrize("name", ["s512_decode", "s100000_decode", "s0_decode", "s_decode"])
def test_a_shorter_cache_is_shorter_than_the_context(name: str) -> None:
    assert "'signatures" in refusal(altered("signatures", ["decode", name]))
