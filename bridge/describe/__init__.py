"""Descriptions of events from every source, and into the forms that need the trace model."""
