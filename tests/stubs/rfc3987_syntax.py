"""A stand-in for a package that is too slow to import: it makes jsonschema leave out its check of IRIs.

The package builds a grammar when it is imported, which takes more than a second in each process that imports nbformat:
pytest with nbval, each of its workers, papermill, JupyterLab. The Makefile puts this folder on PYTHONPATH for tests.
"""

raise ImportError("left out in tests: its import takes more than a second")
