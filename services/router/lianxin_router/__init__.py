"""Router: the only writer of cases."""
