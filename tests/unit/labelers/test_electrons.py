"""Charge and multiplicity against the number of electrons."""

import numpy as np
import pytest

from labelers.electrons import check_electrons
from sis_engine.errors import ConfigurationError
from sis_engine.records import Frame, System


def _lithium_hydride(charge: int, multiplicity: int) -> System:
    frame = Frame(("Li", "H"), np.array([[0.0, 0, 0], [1.6, 0, 0]]))
    return System("s", frame, charge=charge, multiplicity=multiplicity)


@pytest.mark.parametrize(("charge", "multiplicity"), [(0, 1), (0, 3), (1, 2), (-1, 2), (3, 2)])
def test_what_goes_together_passes(charge: int, multiplicity: int):
    check_electrons(_lithium_hydride(charge, multiplicity))


@pytest.mark.parametrize(("charge", "multiplicity"), [(0, 2), (1, 1), (3, 4), (2, 4)])
def test_what_does_not_is_refused_with_what_is_allowed(charge: int, multiplicity: int):
    with pytest.raises(ConfigurationError, match="do not go with") as caught:
        check_electrons(_lithium_hydride(charge, multiplicity))
    assert "multiplicity" in str(caught.value.allowed)
