"""The API against its own OpenAPI description, with requests that nobody thought of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sis_engine.service.places import Places
from tests.unit.service.web_server import TOKEN, served

EXAMPLES = 12
"""Requests an operation and phase."""


@pytest.mark.slow
def test_every_answer_is_as_described(finished: Path, tmp_path: Path) -> None:
    schemathesis = pytest.importorskip("schemathesis", reason="pip install '.[dev]'")
    import hypothesis
    from schemathesis.specs.openapi import checks

    places = Places(tmp_path / "root")
    places.make()
    shutil.copytree(finished, places.campaign("done"))
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with served(places) as site:
        url = f"http://127.0.0.1:{site.port}/api/openapi.json"
        schema = schemathesis.openapi.from_url(url, headers=bearer)
        judges = [
            schemathesis.checks.not_a_server_error,
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
        ]
        tried = []
        for found in schema.get_all_operations():
            operation = found.ok()
            if operation.path == "/api/stream":  # it does not end; it has a test of its own
                continue

            @hypothesis.settings(
                max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
                suppress_health_check=list(hypothesis.HealthCheck),
            )  # fmt: skip
            @hypothesis.given(case=operation.as_strategy())
            def answers(case: object) -> None:
                case.call_and_validate(headers=bearer, timeout=300, checks=judges)  # type: ignore[attr-defined]

            answers()
            tried.append(operation.path)
        assert len(tried) >= 7
        assert site.get("/api/campaigns")[0] == 200
