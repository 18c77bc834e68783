"""Sessions and traces: record a live session, replay a recording."""
