"""The laptop stack and the operator's command line."""
