"""Compare a page of KServe's documentation with the executed notebooks: its commands and the outputs that it prints.

Pure, except for `page_source`, which reads the page, and `executed_cells`, which reads the notebooks.
"""
