"""The pages of deputies and staff: signing in, the inbox, a case, supervision, and the duty screen."""
