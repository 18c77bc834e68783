"""The kernel side of a live session: attach, drain records, sync maps, stop processes."""
