"""Playing a city on a running stack: residents, deputies and staff, as replay and simulation need them.

`surface` speaks HTTP as they do; `cases` follows what the router decided; `knocking` is the clock of cases on
replayed time; `pace` keeps to a rate and tells how far it is.
"""
