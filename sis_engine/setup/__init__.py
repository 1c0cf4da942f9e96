"""A campaign file turned into parts that work together."""
