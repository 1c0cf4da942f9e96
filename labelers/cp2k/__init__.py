"""CP2K: single points, MD and geometry optimisation, run as a program."""
