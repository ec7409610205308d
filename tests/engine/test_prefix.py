from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from foreword.engine.prefix import Prefix, plan

widths = st.lists(st.integers(2, 40), max_size=3, unique=True).map(lambda w: tuple(sorted(w)))


@given(count=st.integers(1, 300), prefill=widths, verify=widths)
def test_a_plan_holds_every_token_once_and_ends_with_logits(
    count: int, prefill: tuple[int, ...], verify: tuple[int, ...]
) -> None:
    runs = plan(count, prefill, verify)

    assert sum(run.count for run in runs) == count
    assert runs[-1].signature.startswith(("decode", "verify"))
    for run in runs:
        kind, _, width = run.signature.partition("_")
        assert 1 <= run.count <= int(width or 1)
        assert int(width or 1) in {"prefill": prefill, "verify": verify, "decode": (1,)}[kind]


def test_one_token_is_decoded() -> None:
    assert [run.signature for run in plan(1, (8, 32, 128), (8,))] == ["decode"]


def test_a_short_prompt_takes_one_run() -> None:
    assert [run.signature for run in plan(5, (8, 32, 128), (8,))] == ["verify_8"]


def test_a_long_prompt_takes_the_widest_chunks() -> None:
    runs = plan(300, (8, 32, 128), (8,))
    assert [run.signature for run in runs[:2]] == ["prefill_128", "prefill_128"]


@given(held=st.lists(st.integers(0, 3)), prompt=st.lists(st.integers(0, 3), min_size=1))
def test_reuse_keeps_the_shared_prefix_and_leaves_a_token_to_compute(
    held: list[int], prompt: list[int]
) -> None:
    prefix = Prefix(list(held))
    reused = prefix.reuse(prompt)

    assert reused <= len(prompt) - 1
    assert prefix.token_ids == prompt[:reused] == held[:reused]
    longer = reused + 1
    assert longer == len(prompt) or held[:longer] != prompt[:longer] or longer > len(held)
