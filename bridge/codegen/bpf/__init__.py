"""Placed handlers -> BPF programs and maps; `generate` joins the parts."""
