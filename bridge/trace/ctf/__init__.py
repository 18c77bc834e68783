"""The Common Trace Format: metadata, reader, writer."""
