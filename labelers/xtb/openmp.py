"""Limits the OpenMP threads of the calling thread, at run time.

tblite reads ``OMP_NUM_THREADS`` once, when it is loaded; ``omp_set_num_threads`` of the GNU OpenMP
library it links works at any time, and for the calling thread alone.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@cache
def gnu_openmp() -> ctypes.CDLL | None:
    """The GNU OpenMP runtime (the copy already loaded has the same name), or ``None``."""
    try:
        return ctypes.CDLL("libgomp.so.1")
    except OSError:
        return None


@contextmanager
def openmp_threads(n_threads: int) -> Iterator[None]:
    """OpenMP regions entered from this thread use ``n_threads``; the old number comes back."""
    library = gnu_openmp()
    if library is None:
        yield
        return
    before = int(library.omp_get_max_threads())
    library.omp_set_num_threads(ctypes.c_int(n_threads))
    try:
        yield
    finally:
        library.omp_set_num_threads(ctypes.c_int(before))
