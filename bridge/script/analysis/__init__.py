"""Syntax tree -> derived probes, resolved names, inferred types."""
