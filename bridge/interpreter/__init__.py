"""The pieces of the reference interpreter: clear rather than fast, and independent of csrc."""
