"""What runs a compiled program: attach, deliver hits as records, end in order."""
