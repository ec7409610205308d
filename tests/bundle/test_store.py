import dataclasses
import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foreword.bundle.card import Check
from foreword.bundle.manifest import Manifest, Provenance, Shape, SpecialTokens
from foreword.bundle.store import (
    Bundle,
    find_bundle,
    list_bundles,
    open_bundle,
    remove_bundle,
    rewrite_manifest,
    sha256_of,
    write_bundle,
)
from foreword.errors import BundleError, ForewordError, OutputError

MANIFEST = Manifest(
    shape=Shape("llama", 1000, 2, 1, 8, 300, 32),
    recipe="float32",
    signatures=("decode", "prefill_8"),
    special_tokens=SpecialTokens(None, (0,), False),
    provenance=Provenance("tiny", "Apache-2.0", None),
    versions={"foreword": "0.1.0"},
    files={},
)
MODEL = b"a model of a few bytes"
FILES = ["bundle.json", "model.tflite", "tokenizer.json"]
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX file kinds and signals")


def filler(model: bytes = MODEL) -> Callable[[Path], Manifest]:
    def fill(directory: Path) -> Manifest:
        (directory / "model.tflite").write_bytes(model)
        (directory / "tokenizer.json").write_text("{}")
        return MANIFEST

    return fill


def failing(error: BaseException) -> Callable[[Path], Manifest]:
    """A `fill` that fails when half of its work is done."""

    def fill(directory: Path) -> Manifest:
        filler()(directory)
        raise error

    return fill


def forbidden(directory: Path) -> Manifest:
    raise AssertionError(f"work was begun in {directory}, though it could never be kept")


def tree(directory: Path) -> dict[str, bytes | None]:
    """Everything under a directory: the bytes of files, None for all else."""
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
        for path in sorted(directory.rglob("*"))
    }


def one_line(message: object) -> str:
    assert str(message).isprintable()
    return str(message)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "tiny", filler())


# Writing


def test_a_written_bundle_opens_with_the_manifest_it_was_given(bundle: Bundle) -> None:
    opened = open_bundle(bundle.path, verify=True)
    assert opened == bundle
    assert opened.manifest.shape == MANIFEST.shape
    assert opened.model_path.read_bytes() == MODEL
    assert opened.tokenizer_path.read_text() == "{}"
    entry = opened.manifest.files["model.tflite"]
    assert (entry.size_bytes, entry.sha256) == (len(MODEL), hashlib.sha256(MODEL).hexdigest())


def test_writing_leaves_the_bundle_and_nothing_else(tmp_path: Path) -> None:
    write_bundle(tmp_path / "new" / "deep" / "tiny", filler())
    names = sorted(path.name for path in tmp_path.rglob("*"))
    assert names == sorted(["new", "deep", "tiny", *FILES])


def test_a_manifest_is_rewritten_and_the_files_stay(bundle: Bundle) -> None:
    check = Check("degraded", "perplexity + 66 %")
    rewritten = rewrite_manifest(bundle, dataclasses.replace(bundle.manifest, check=check))
    assert open_bundle(bundle.path, verify=True) == rewritten
    assert rewritten.manifest.check == check
    assert sorted(path.name for path in bundle.path.parent.rglob("*")) == sorted(["tiny", *FILES])


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space"), KeyboardInterrupt()])
def test_a_rewriting_cut_short_leaves_the_old_manifest(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    before = tree(bundle.path.parent)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("foreword.bundle.store._sync", fail)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        rewrite_manifest(
            bundle, dataclasses.replace(bundle.manifest, check=Check("passed", "fine"))
        )
    assert tree(bundle.path.parent) == before


def test_nothing_shows_under_the_name_until_all_is_written(tmp_path: Path) -> None:
    def fill(directory: Path) -> Manifest:
        assert directory.parent == tmp_path
        assert directory.name.startswith(".tiny.partial-")
        assert not (tmp_path / "tiny").exists()
        assert list_bundles(tmp_path) == []
        return filler()(directory)

    write_bundle(tmp_path / "tiny", fill)


@posix
def test_a_bundle_has_the_permissions_of_any_new_directory(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert bundle.path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_relative_destination_is_fixed_before_the_work_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)

    def fill(directory: Path) -> Manifest:
        monkeypatch.chdir(tmp_path / "elsewhere")
        return filler()(directory)

    write_bundle(Path("tiny"), fill)
    assert open_bundle(tmp_path / "tiny").manifest.recipe == "float32"


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), ValueError("a bug")],
    ids=["disk full", "interrupt", "bug"],
)
def test_a_failed_write_leaves_everything_as_it_was(
    tmp_path: Path, error: BaseException, replace: bool
) -> None:
    if replace:
        write_bundle(tmp_path / "new" / "tiny", filler(b"the old model"))
    before = tree(tmp_path)
    expected = OutputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        write_bundle(tmp_path / "new" / "tiny", failing(error), replace=replace)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EFBIG, "free some space"),
        (errno.EACCES, "may write to"),
        (errno.EROFS, "may write to"),
        (errno.EIO, "another place"),
    ],
)
def test_a_system_error_becomes_one_line_with_path_reason_and_advice(
    tmp_path: Path, code: int, advice: str
) -> None:
    with pytest.raises(OutputError) as caught:
        write_bundle(tmp_path / "tiny", failing(OSError(code, os.strerror(code))))
    message = one_line(caught.value)
    assert str(tmp_path / "tiny") in message
    assert os.strerror(code).lower() in message
    assert advice in message


def test_errors_of_our_own_pass_through_unchanged(tmp_path: Path) -> None:
    error = BundleError("as it was")
    with pytest.raises(BundleError) as caught:
        write_bundle(tmp_path / "tiny", failing(error))
    assert caught.value is error


PROGRAM = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from foreword.bundle.store import write_bundle
from foreword.errors import OutputError

def fill(directory):
    if sys.argv[3] == "full":
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        (directory / "model.tflite").write_bytes(bytes(100_000))
    (directory / "model.tflite").write_bytes(b"half")
    print("begun", flush=True)
    sys.stdin.read()

try:
    write_bundle(Path(sys.argv[2]), fill)
except OutputError as error:
    print(error)
    sys.exit(1)
except KeyboardInterrupt:
    sys.exit(130)
"""


def run_program(destination: Path, what: str) -> "subprocess.Popen[str]":
    source = Path(sys.modules["foreword.errors"].__file__ or "").parent.parent
    command = [sys.executable, "-c", PROGRAM, str(source), str(destination), what]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@posix
def test_a_really_full_disk_leaves_nothing(tmp_path: Path) -> None:
    with run_program(tmp_path / "new" / "tiny", "full") as process:
        out, err = process.communicate()
    assert (process.returncode, err) == (1, "")
    assert "file too large: free some space" in one_line(out.strip())
    assert tree(tmp_path) == {}


@posix
def test_a_real_interrupt_leaves_nothing(tmp_path: Path) -> None:
    with run_program(tmp_path / "new" / "tiny", "wait") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        assert any(".partial-" in name for name in tree(tmp_path))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert (process.returncode, err) == (130, "")
    assert tree(tmp_path) == {}


def test_a_file_in_the_way_of_the_directory_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "way").write_text("in the way")
    with pytest.raises(OutputError, match="not a directory") as caught:
        write_bundle(tmp_path / "way" / "deep" / "tiny", forbidden)
    one_line(caught.value)
    assert tree(tmp_path) == {"way": b"in the way"}


@pytest.mark.parametrize("name", ["x" * 300, "a\x00b", "\ud800"])
@pytest.mark.parametrize("replace", [False, True])
def test_an_impossible_name_is_refused_before_any_work(
    tmp_path: Path, name: str, replace: bool
) -> None:
    with pytest.raises(OutputError) as caught:
        write_bundle(tmp_path / name, forbidden, replace=replace)
    one_line(caught.value)
    assert tree(tmp_path) == {}


def test_the_longest_name_that_can_be_written_is(tmp_path: Path) -> None:
    write_bundle(tmp_path / ("x" * 255), filler())
    assert open_bundle(tmp_path / ("x" * 255))


@pytest.mark.parametrize("destination", ["/", "."])
def test_a_directory_in_use_is_refused_before_any_work(destination: str) -> None:
    for replace in (False, True):
        with pytest.raises(OutputError):
            write_bundle(Path(destination), forbidden, replace=replace)


def test_the_current_directory_is_not_pulled_away_from_under_its_user(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    for place in (bundle.path, tmp_path / "empty"):
        monkeypatch.chdir(place)
        for destination in (Path(), place):
            with pytest.raises(OutputError, match="current directory"):
                write_bundle(destination, forbidden, replace=True)


def test_an_error_without_a_number_still_says_what_happened(tmp_path: Path) -> None:
    error = OSError("8 requested and\n0 written")
    with pytest.raises(OutputError, match="8 requested and 0 written") as caught:
        write_bundle(tmp_path / "tiny", failing(error))
    one_line(caught.value)


@pytest.mark.parametrize("left_out", ["model.tflite", "tokenizer.json"])
def test_a_fill_that_writes_too_little_makes_no_bundle(tmp_path: Path, left_out: str) -> None:
    def fill(directory: Path) -> Manifest:
        manifest = filler()(directory)
        (directory / left_out).unlink()
        return manifest

    with pytest.raises(ForewordError, match=left_out):
        write_bundle(tmp_path / "tiny", fill)
    assert tree(tmp_path) == {}


def test_a_fill_that_writes_too_much_makes_no_bundle(tmp_path: Path) -> None:
    def fill(directory: Path) -> Manifest:
        (directory / "scratch.bin").write_bytes(b"left behind")
        return filler()(directory)

    with pytest.raises(ForewordError, match=r"scratch\.bin"):
        write_bundle(tmp_path / "tiny", fill)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("source", ["two\nlines", "\udcff.gguf", ""])
def test_a_manifest_that_would_not_open_is_never_written(tmp_path: Path, source: str) -> None:
    def fill(directory: Path) -> Manifest:
        filler()(directory)
        return Manifest(**{**vars(MANIFEST), "provenance": Provenance(source, "MIT", None)})

    with pytest.raises(BundleError, match="'source'") as caught:
        write_bundle(tmp_path / "tiny", fill)
    one_line(caught.value)
    assert tree(tmp_path) == {}


# Replacing


def test_an_existing_bundle_is_kept_unless_told_otherwise(bundle: Bundle, tmp_path: Path) -> None:
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="--replace") as caught:
        write_bundle(bundle.path, forbidden)
    one_line(caught.value)
    assert tree(tmp_path) == before


def test_replace_puts_the_new_bundle_and_only_it_in_the_old_ones_place(
    bundle: Bundle, tmp_path: Path
) -> None:
    write_bundle(bundle.path, filler(b"new"), replace=True)
    assert open_bundle(bundle.path, verify=True).model_path.read_bytes() == b"new"
    assert sorted(tree(tmp_path)) == ["tiny", *(str(Path("tiny", name)) for name in FILES)]


@pytest.mark.parametrize("what", ["nothing", "empty directory", "damaged bundle"])
def test_replace_takes_the_place_of_what_cannot_be_missed(tmp_path: Path, what: str) -> None:
    target = tmp_path / "tiny"
    if what != "nothing":
        target.mkdir()
    if what == "damaged bundle":
        (target / "bundle.json").write_text("damaged")
    write_bundle(target, filler(), replace=True)
    assert open_bundle(target, verify=True)


def test_replace_never_takes_the_place_of_anything_else(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "letter.txt").write_text("dear")
    shutil.copytree(bundle.path, tmp_path / "mixed")
    (tmp_path / "mixed" / "letter.txt").write_text("dear")
    shutil.copytree(bundle.path, tmp_path / "nested")
    (tmp_path / "nested" / "model.tflite").unlink()
    (tmp_path / "nested" / "model.tflite").mkdir()
    (tmp_path / "link").symlink_to(bundle.path)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    before = tree(tmp_path)
    for name in ("file", "folder", "mixed", "nested", "link", "dangling"):
        with pytest.raises(OutputError) as caught:
            write_bundle(tmp_path / name, forbidden, replace=True)
        one_line(caught.value)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "Input/output error")])
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("done", [False, True])
def test_a_replacement_cut_short_at_any_rename_leaves_a_whole_bundle(
    bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    step: int,
    done: bool,
) -> None:
    rename = Path.rename
    calls = 0

    def interrupted(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls != step:
            return rename(self, target)
        if done:
            rename(self, target)
        raise error

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises((KeyboardInterrupt, OutputError)):
        write_bundle(bundle.path, filler(b"new"), replace=True)
    model = open_bundle(bundle.path, verify=True).model_path.read_bytes()
    assert model == (b"new" if step == 2 and done else MODEL)
    assert sorted(tree(tmp_path)) == ["tiny", *(str(Path("tiny", name)) for name in FILES)]


@pytest.mark.parametrize("replace", [False, True])
def test_of_two_writers_at_one_place_no_mixture_and_no_rest_remains(
    tmp_path: Path, replace: bool
) -> None:
    both_begun = threading.Barrier(2, timeout=60)

    def write(model: bytes) -> str:
        def fill(directory: Path) -> Manifest:
            manifest = filler(model)(directory)
            both_begun.wait()
            return manifest

        try:
            write_bundle(tmp_path / "tiny", fill, replace=replace)
        except OutputError as error:
            return one_line(error)
        return "written"

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(write, [b"one", b"two, longer"]))
    assert "written" in outcomes
    assert replace or outcomes.count("written") == 1
    assert open_bundle(tmp_path / "tiny", verify=True)
    assert sorted(tree(tmp_path)) == ["tiny", *(str(Path("tiny", name)) for name in FILES)]


@pytest.mark.parametrize("replace", [False, True])
def test_what_appears_while_writing_is_not_overwritten(tmp_path: Path, replace: bool) -> None:
    def fill(directory: Path) -> Manifest:
        (tmp_path / "tiny").mkdir()
        (tmp_path / "tiny" / "letter.txt").write_text("dear")
        return filler()(directory)

    with pytest.raises(OutputError):
        write_bundle(tmp_path / "tiny", fill, replace=replace)
    assert tree(tmp_path) == {"tiny": None, str(Path("tiny", "letter.txt")): b"dear"}


# Opening


def refusal(path: Path, verify: bool = False) -> str:
    with pytest.raises(BundleError) as caught:
        open_bundle(path, verify=verify)
    return one_line(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(bundle: Bundle, name: str) -> None:
    (bundle.path / name).unlink()
    assert str(bundle.path / name) in refusal(bundle.path)


@pytest.mark.parametrize("name", FILES[1:])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_of_another_size_is_named_with_both_sizes(
    bundle: Bundle, name: str, change: int
) -> None:
    size = (bundle.path / name).stat().st_size
    os.truncate(bundle.path / name, size + change)
    message = refusal(bundle.path)
    assert str(bundle.path / name) in message
    assert f"expected {size} bytes, found {size + change}" in message


@pytest.mark.parametrize("name", FILES[1:])
def test_an_altered_file_of_the_same_size_is_found_by_verify(bundle: Bundle, name: str) -> None:
    content = bytearray((bundle.path / name).read_bytes())
    content[0] ^= 1
    (bundle.path / name).write_bytes(content)
    assert open_bundle(bundle.path)
    assert "SHA-256" in refusal(bundle.path, verify=True)


def test_a_bundle_of_a_newer_format_asks_for_an_upgrade(bundle: Bundle) -> None:
    (bundle.path / "bundle.json").write_text('{"format_version": 2}')
    assert "upgrade" in refusal(bundle.path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"\xff\xfe", b"\x00", b"x" * 2_000_000, b"[" * 200_000],
    ids=lambda content: ascii(content[:8]),
)
def test_a_damaged_manifest_is_named(bundle: Bundle, content: bytes) -> None:
    (bundle.path / "bundle.json").write_bytes(content)
    assert str(bundle.path / "bundle.json") in refusal(bundle.path)


def test_a_manifest_cannot_lead_outside_the_bundle(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("{}")
    document = json.loads((bundle.path / "bundle.json").read_text())
    document["files"]["../secret"] = document["files"].pop("tokenizer.json")
    (bundle.path / "bundle.json").write_text(json.dumps(document))
    assert "'../secret'" in refusal(bundle.path)


@pytest.mark.parametrize("name", FILES)
def test_a_link_inside_a_bundle_is_refused_even_to_the_right_bytes(
    bundle: Bundle, tmp_path: Path, name: str
) -> None:
    (bundle.path / name).rename(tmp_path / "outside")
    (bundle.path / name).symlink_to(tmp_path / "outside")
    assert str(bundle.path / name) in refusal(bundle.path)


@posix
@pytest.mark.parametrize("name", FILES)
def test_a_pipe_inside_a_bundle_is_refused_without_waiting_for_it(
    bundle: Bundle, name: str
) -> None:
    (bundle.path / name).unlink()
    os.mkfifo(bundle.path / name)
    assert str(bundle.path / name) in refusal(bundle.path)


@pytest.mark.parametrize("name", FILES)
def test_a_directory_in_a_files_place_is_refused(bundle: Bundle, name: str) -> None:
    (bundle.path / name).unlink()
    (bundle.path / name).mkdir()
    assert str(bundle.path / name) in refusal(bundle.path)


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[2Jcleared"])
def test_a_name_that_could_upset_a_terminal_is_escaped_in_messages(
    tmp_path: Path, name: str
) -> None:
    path = write_bundle(tmp_path / name, filler()).path
    with pytest.raises(OutputError) as taken:
        write_bundle(path, forbidden)
    one_line(taken.value)
    (path / "model.tflite").unlink()
    refusal(path)
    (path / "bundle.json").write_text("{}")
    refusal(path)
    (path / "letter.txt").write_text("dear")
    with pytest.raises(BundleError) as kept:
        remove_bundle(path)
    one_line(kept.value)


def test_a_bundle_may_itself_be_reached_through_a_link(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(bundle.path)
    assert open_bundle(tmp_path / "link").manifest == bundle.manifest


def test_what_is_not_a_directory_is_not_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("file", "missing", "loop", "file/below", "x" * 300):
        assert "expected a bundle's directory" in refusal(tmp_path / name)
    for name in ("a\x00b", "\ud800", "\udcff"):
        refusal(tmp_path / name)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_bundle_with_random_damage_opens_or_is_refused(
    tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "damaged"
    shutil.rmtree(path, ignore_errors=True)
    write_bundle(path, filler())
    file = path / data.draw(st.sampled_from(FILES))
    content = bytearray(file.read_bytes())
    at = data.draw(st.integers(0, len(content)))
    content[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    damaged = bytes(content) != file.read_bytes()
    file.write_bytes(content)
    try:
        open_bundle(path, verify=True)
    except BundleError as error:
        one_line(error)
    else:
        assert not damaged or file.name == "bundle.json"


# Listing, finding, removing


def test_a_list_has_every_directory_in_order_with_what_is_wrong(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        write_bundle(tmp_path / name, filler())
    (tmp_path / "b" / "model.tflite").unlink()
    (tmp_path / ".c.partial-0").mkdir()
    (tmp_path / "notes.txt").write_text("a file")
    listed = list_bundles(tmp_path)
    assert [item.path.name for item in listed] == ["a", "b", "c"]
    assert [type(item.found) for item in listed] == [Bundle, BundleError, Bundle]


def test_a_list_of_a_missing_directory_is_empty(tmp_path: Path) -> None:
    assert list_bundles(tmp_path / "missing") == []


def test_a_list_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(BundleError):
        list_bundles(tmp_path / "file")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one bundle, `known`; the working directory is an empty one beside it."""
    monkeypatch.setenv("FOREWORD_HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    write_bundle(tmp_path / "home" / "bundles" / "known", filler())
    return tmp_path / "home" / "bundles"


def test_a_stored_bundle_is_found_by_its_name(store: Path) -> None:
    assert find_bundle("known") == store / "known"


def test_a_stored_name_wins_over_what_lies_in_the_current_directory(store: Path) -> None:
    Path("known").mkdir()
    assert find_bundle("known") == store / "known"
    assert find_bundle("./known") == Path("./known")
    assert find_bundle(store / "known") == store / "known"


def test_a_path_of_one_part_is_found_where_no_such_name_is_stored(store: Path) -> None:
    Path("mine").mkdir()
    assert find_bundle("mine") == Path("mine")


@pytest.mark.parametrize(
    "name",
    ["unknown", "", "../bundles/known", "..x", "known/", ".hidden", "a\x00b", "\ud800", "é" * 300],
)
def test_what_is_neither_path_nor_name_is_refused_with_what_there_is(
    store: Path, name: str
) -> None:
    with pytest.raises(BundleError, match=r"known.*foreword convert") as caught:
        find_bundle(name)
    one_line(caught.value)


def test_with_nothing_stored_the_refusal_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FOREWORD_HOME", str(tmp_path))
    with pytest.raises(BundleError, match="none is stored yet"):
        find_bundle("unknown")


def test_removing_a_bundle_gives_the_bytes_freed(bundle: Bundle, tmp_path: Path) -> None:
    size = sum(len(content or b"") for content in tree(bundle.path).values())
    assert remove_bundle(bundle.path) == size
    assert tree(tmp_path) == {}


def test_the_bundle_one_stands_in_can_be_removed(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as inside:
        inside.chdir(bundle.path)
        remove_bundle(Path())
    assert tree(tmp_path) == {}


def test_a_damaged_bundle_can_be_removed(bundle: Bundle, tmp_path: Path) -> None:
    (bundle.path / "model.tflite").unlink()
    (bundle.path / "bundle.json").write_text("damaged")
    remove_bundle(bundle.path)
    assert tree(tmp_path) == {}


def test_removing_a_link_inside_a_bundle_spares_what_it_points_to(
    bundle: Bundle, tmp_path: Path
) -> None:
    bundle.model_path.unlink()
    (tmp_path / "precious").write_text("kept")
    bundle.model_path.symlink_to(tmp_path / "precious")
    remove_bundle(bundle.path)
    assert tree(tmp_path) == {"precious": b"kept"}


def test_nothing_but_a_bundle_is_removed(bundle: Bundle, tmp_path: Path) -> None:
    (bundle.path / "letter.txt").write_text("dear")
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "model.tflite").write_bytes(MODEL)
    (tmp_path / "file").write_text("a file")
    (tmp_path / "link").symlink_to(bundle.path)
    before = tree(tmp_path)
    for name in ("tiny", "empty", "folder", "file", "link", "missing"):
        with pytest.raises(BundleError) as caught:
            remove_bundle(tmp_path / name)
        one_line(caught.value)
    assert tree(tmp_path) == before


def test_a_removal_cut_short_can_be_taken_up_again(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def refused(self: Path, missing_ok: bool = False) -> None:
        if self.name == "bundle.json":
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(self, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refused)
        with pytest.raises(OutputError, match="could not be removed"):
            remove_bundle(bundle.path)
    assert sorted(tree(bundle.path)) == ["bundle.json"]
    remove_bundle(bundle.path)
    assert tree(tmp_path) == {}


@given(st.binary(max_size=1000))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_hash_is_that_of_the_bytes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()
