"""The intermediate form between the typed script and the engines:

types, ops, program, printer, verifier, interpreter.
"""
