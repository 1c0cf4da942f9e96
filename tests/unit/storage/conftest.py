from __future__ import annotations

import pytest

from tests.unit.storage.storage_samples import FailingDisk


@pytest.fixture
def failing_disk() -> type[FailingDisk]:
    return FailingDisk
