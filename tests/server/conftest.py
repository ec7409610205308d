"""What the tests of the server share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from book_model import BookModel, tiny_tokenizer
from foreword.bundle.tokenizer import Tokenizer
from serving import BOOK, Serving, opens, serving
from tiny import load_tiny, write_tiny_bundle


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """The tokenizer of the tiny models."""
    return tiny_tokenizer(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a tiny model with random weights."""
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny"))[1]


@pytest.fixture(scope="module")
def book(tiny: Tokenizer) -> Iterator[Serving]:
    """A server of a model that knows a few sentences."""
    with serving(opens(BookModel(tiny, BOOK))) as running:
        yield running


@pytest.fixture(scope="module")
def real(tiny_bundle: Path) -> Iterator[Serving]:
    """A server of a tiny bundle, in the real engine."""
    with serving(lambda: load_tiny(tiny_bundle)) as running:
        yield running


@pytest.fixture
def client(book: Serving) -> Iterator[httpx.Client]:
    with book.client() as client:
        yield client
