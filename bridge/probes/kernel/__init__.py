"""Functions of the kernel and of its modules: which there are, and what can be named there."""
