"""A city's own identity service by OpenID Connect: the second provider behind the port `IdentityProvider`."""
