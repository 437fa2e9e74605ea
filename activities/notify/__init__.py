"""Telling people: alerts to a webhook."""
