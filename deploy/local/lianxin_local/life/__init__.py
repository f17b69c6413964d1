"""A made-up life of a whole city: residents, deputies and the congress's office, for `lianxin simulate`.

`habits` is what people are like, `town` what is known of the city, `arrivals` and `residents` who says what
and when, `next_step` what happens next to a case. All of that is pure: the same seed is the same life, and
what people do follows from what they can see. `explain` says why a case stands where it does. `player` plays
it on a running stack.
"""
