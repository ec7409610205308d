"""The documented interface: what schemathesis makes of it gets a documented answer."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import positive_data_acceptance

from serving import Serving


def test_every_answer_is_a_documented_one(real: Serving) -> None:
    schema = schemathesis.openapi.from_url(f"{real.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 7
    for operation in operations:

        @settings(
            max_examples=25,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def answers(case: Case) -> None:
            # What a schema allows may be refused all the same: a penalty, a text, a length.
            case.call_and_validate(timeout=60, excluded_checks=[positive_data_acceptance])

        answers()
