"""Debug information (DWARF 4 and 5) of a file: functions, lines, variables, types."""
