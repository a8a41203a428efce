"""Messages that people paste: tables of the texts that programs print, with the cause and the remedy of each.

One YAML file per source. A row of a table: see `message_table.MessageRow`. May import the findings alone.
"""
