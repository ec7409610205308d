"""What the tests of completion share."""

from __future__ import annotations

import pytest

from book_model import tiny_tokenizer
from foreword.bundle.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """The tokenizer of the tiny models."""
    return tiny_tokenizer(tmp_path_factory.mktemp("tiny"))
