"""Text -> tokens -> syntax tree."""
