from __future__ import annotations

import pytest
from storage_samples import FailingDisk


@pytest.fixture
def failing_disk() -> type[FailingDisk]:
    return FailingDisk
