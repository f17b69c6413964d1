"""Notifier: alerts deputies and holds their workbench."""
