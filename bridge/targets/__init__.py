"""What there is to probe: markers found in ELF files, tracefs, and recorded traces."""
