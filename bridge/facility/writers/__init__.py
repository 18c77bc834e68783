"""Writers of facility descriptions: one module per form, each with `write(facility) -> str`."""
