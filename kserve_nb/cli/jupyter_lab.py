"""JupyterLab in this process, as `jupyter lab` starts it but 2.5 s faster: `python -m kserve_nb.cli.jupyter_lab`."""

from kserve_nb.runner import iri_grammar

if __name__ == "__main__":
    iri_grammar.omit()
    from jupyterlab.labapp import main

    main()
