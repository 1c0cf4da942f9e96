"""Labelers of my own for sis-engine."""
