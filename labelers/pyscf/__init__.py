"""Hybrid DFT of clusters through PySCF, in a worker process."""
