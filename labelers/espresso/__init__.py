"""Quantum ESPRESSO's pw.x: plane waves, kept alive over a socket."""
