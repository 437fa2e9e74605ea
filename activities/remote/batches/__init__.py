"""Providers' batch APIs: many questions sent together, answered within a day, at a discount."""
