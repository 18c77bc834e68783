"""Trees, types and listings in the forms that stap prints."""
