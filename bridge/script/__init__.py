"""The SystemTap front end: text -> tokens -> tree -> elaborated -> typed."""
