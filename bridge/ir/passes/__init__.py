"""Passes over the IR, one per file; each leaves a program that verifies."""
