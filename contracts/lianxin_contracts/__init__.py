"""What Lianxin's services say to each other: events, topics, registry records."""
