"""Embedded C -> the script language: tokens, tree, types and the translation.

In: the text between `%{` and `%}` and its place. Out: text of the language with the same
meaning, or `Unsupported` with the place of the token that cannot be translated. Nothing is
compiled by a C compiler, so what calls into the kernel or writes to its memory is refused.
"""

HELPER = "_c_"
"""What the names of helper functions begin with in the language."""
VARIABLE = "_cv_"
"""The same, of variables at the level of the file: globals of the script."""
