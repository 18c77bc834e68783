"""Our own tapset library: `.stp` and `.stpm` files, loaded on demand."""
