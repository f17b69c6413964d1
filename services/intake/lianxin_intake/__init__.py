"""Intake: where every opinion enters."""
