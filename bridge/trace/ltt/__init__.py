"""LTT trace buffers of every version: one reader and one writer module per generation."""
