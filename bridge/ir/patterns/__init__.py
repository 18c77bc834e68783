"""Regular expressions: a pattern's bytes -> its tree, by SystemTap's grammar."""
