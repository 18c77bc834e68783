"""Traces: one model of events, and readers and writers for LTT of every version and for CTF."""
