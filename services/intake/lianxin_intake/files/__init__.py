"""`POST /v1/files`: spreadsheets of opinions, and a report that says of each row what became of it.

`delimited` and `workbook` make rows of a file, `columns` an opinion of a row, `table` takes them the way that
every batch goes, `report` says what came of it, `mending` how to mend what was refused.
"""
