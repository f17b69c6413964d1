"""`lianxin replay`: a file of what was said elsewhere, played through a running stack.

`rows` reads the file, `mapping` and `moments` say what its columns mean, `entries` makes an opinion and what
became of it out of a row, `script` puts all of them in order of time, `player` plays it, `bookmark` remembers
how far, `tally` adds up.
"""
