"""IR -> machine code of handlers, functions and timers in user space; `compile` joins them."""
