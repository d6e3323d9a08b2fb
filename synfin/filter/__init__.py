"""Wireshark's display-filter language: one grammar, one tree with types, compiled to masks over packets and flows."""
