"""Engines beyond this machine that answer the same questions: what is published there, and how it is read."""
