"""DeePMD-kit as a trainer: the `dp` program's own entry points, run in a process of their own."""
