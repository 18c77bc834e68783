"""Typed script -> IR program."""
