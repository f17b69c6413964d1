"""How a Lianxin service runs, whatever it does."""
