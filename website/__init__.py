"""The project's site: the executed course and all pages, built by Sphinx from the output of `kserve-nb run`.

    python -m website build/notebooks build/site

`staging` collects the pages in one folder, Sphinx writes HTML, and `checking` looks for broken links and other hosts.
Nothing is executed and nothing is downloaded.
"""
