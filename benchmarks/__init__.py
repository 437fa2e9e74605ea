"""Measurements; what they found is in RESULTS.md."""
