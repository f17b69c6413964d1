"""The pure domain of the router: what is decided about a case, and how a case follows from its events."""
