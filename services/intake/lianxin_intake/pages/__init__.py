"""The pages of residents: a station's, where an opinion is said, and the one that follows it."""
