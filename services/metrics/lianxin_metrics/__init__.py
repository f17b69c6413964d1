"""Metrics: exact figures from the lifecycle."""
