"""The whole system through its public surface."""
