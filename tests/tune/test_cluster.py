"""Trials on a Dask cluster of worker processes: the same outcomes, and errors of one line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from foreword.errors import ClusterError, SourceError
from foreword.tune import cluster, plan, search
from tune_models import write_bigram

TWO = plan(["int8", "float16"], [32], [(8,)], tokens=64, threads=1)


@pytest.fixture(scope="module")
def bigram(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bigram(tmp_path_factory.mktemp("bigram"))


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=2,
        threads_per_worker=2,
        dashboard_address=":0",
        local_directory=str(tmp_path_factory.mktemp("dask")),
    ) as running:
        yield running


def test_workers_give_what_this_process_would(
    bigram: Path, local: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Workers have another current directory.
    monkeypatch.chdir(bigram.parent)
    journal, seen = tmp_path / "journal.jsonl", list[tuple[str, int, int]]()
    found = search(
        bigram.name, TWO, journal, lambda *report: seen.append(report), local.scheduler_address
    )
    assert [outcome.trial for outcome in found.outcomes] == TWO.trials
    assert seen == [("trials", 0, 2), ("trials", 1, 2), ("trials", 2, 2)]
    here = search(bigram, TWO, tmp_path / "here.jsonl")
    assert here.origin == found.origin
    for one, other in zip(here.outcomes, found.outcomes, strict=True):
        assert (one.model_sha256, one.verdict) == (other.model_sha256, other.verdict)
        assert one.figures["perplexity"] == pytest.approx(other.figures["perplexity"])
    # The journal is the same wherever trials run.
    assert search(bigram, TWO, journal).outcomes == found.outcomes


def test_workers_keep_nothing_and_the_journal_spares_them_what_is_done(
    bigram: Path, local: LocalCluster, tmp_path: Path
) -> None:
    journal = tmp_path / "journal.jsonl"
    narrow = plan(["int8"], [32], [(8,), (64,)], tokens=64, threads=1)
    first = search(bigram, narrow, journal, scheduler=local.scheduler_address).outcomes
    assert first[0].figures
    assert "no width fits the context" in str(first[1].failure)
    seen: list[tuple[str, int, int]] = []
    search(bigram, narrow, journal, lambda *report: seen.append(report), local.scheduler_address)
    assert seen[0] == ("trials", 1, 2)
    with Client(local.scheduler_address, set_as_default=False) as client:
        kept = client.run(lambda dask_worker: list(Path(dask_worker.local_directory).iterdir()))
        plugins = client.run(lambda dask_worker: list(dask_worker.plugins))
    assert not [path for paths in kept.values() for path in paths if "foreword" in path.name]
    assert not [name for names in plugins.values() for name in names if "foreword" in name]


def test_a_source_that_workers_do_not_see_is_an_error_of_this_search(
    local: LocalCluster, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=r"missing\.gguf"):
        search("missing.gguf", TWO, tmp_path / "t.jsonl", scheduler=local.scheduler_address)


def test_a_source_that_goes_away_fails_the_trials(
    bigram: Path, local: LocalCluster, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.gguf"
    shutil.copy(bigram, copy)
    with cluster.cluster(copy, TWO, local.scheduler_address) as running:
        copy.unlink()
        outcomes = list(running.run([trial for trial in TWO.trials for _ in range(2)]))
    assert all("copy.gguf" in str(outcome.failure) for outcome in outcomes)


def test_a_worker_that_comes_later_takes_trials_too(
    bigram: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            dashboard_address=":0",
            local_directory=str(tmp_path_factory.mktemp("dask")),
        ) as changing,
        cluster.cluster(bigram, TWO, changing.scheduler_address) as running,
    ):
        changing.scale(2)
        with Client(changing.scheduler_address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            found = client.run(lambda dask_worker: dict(dask_worker.state.total_resources))
        assert [resources["foreword-trial"] for resources in found.values()] == [1, 1]
        outcomes = running.run(TWO.trials)
        assert {outcome.trial for outcome in outcomes if outcome.figures} == set(TWO.trials)


def test_what_an_interrupt_leaves_is_cancelled(
    bigram: Path, local: LocalCluster, tmp_path: Path
) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    many = plan(["int8", "float16"], [32, 40, 48], [(8,)], tokens=64, threads=1)
    journal = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt):
        search(bigram, many, journal, interrupt, local.scheduler_address)
    assert len(journal.read_text().splitlines()) == 1
    with Client(local.scheduler_address, set_as_default=False) as client:
        assert not any(client.processing().values())


def test_a_scheduler_that_does_not_answer_is_told(
    bigram: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 0.2)
    with pytest.raises(ClusterError, match=r"tcp://127\.0\.0\.1:9: expected a Dask scheduler"):
        search(bigram, TWO, tmp_path / "t.jsonl", scheduler="tcp://127.0.0.1:9")


def test_a_scheduler_without_workers_is_told(
    bigram: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_WORKER_SECONDS", 0.2)
    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(ClusterError, match="expected a Dask scheduler and workers"),
    ):
        search(bigram, TWO, tmp_path / "t.jsonl", scheduler=empty.scheduler_address)
