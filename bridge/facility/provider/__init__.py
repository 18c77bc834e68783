"""DTrace provider files: read, and made into a header and an object file, as dtrace(1) does."""
