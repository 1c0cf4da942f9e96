"""A cheap potential in place of DFT: an ASE calculator or a LAMMPS pair style."""
