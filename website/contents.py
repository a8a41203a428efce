"""The table of the site's pages: the section of each, and one sentence about it. Menus and lists are made from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Entry:
    """A page: its document name (a path without suffix), and one sentence about it."""

    name: str
    about: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the site, with its own page that lists its pages."""

    name: str
    title: str
    about: str
    pages: tuple[Entry, ...]


COURSE = "notebooks/index"  # its pages are the notebooks, by number
SECTIONS = (
    Section("guide", "Guide", "How to use the course, the widgets and the commands, also on your own cluster.", (
        Entry("docs/starting", "In Binder, on this machine, or on your own cluster: what each needs and keeps."),
        Entry("docs/platforms", "What works on Linux, macOS and Windows, and what does not."),
        Entry("docs/colab", "One cell that installs the course into Colab's running kernel."),
        Entry("docs/jupyterhub", "Several users on one machine, each with a cluster."),
        Entry("docs/widgets", "All widgets, what each is for, and how to use them in code."),
        Entry("docs/terminal", "The commands of `kserve-nb`: clusters, models of your own, progress."),
        Entry("docs/gated-rollouts", "Rollouts in steps, with gates, that roll back on evidence."),
        Entry("docs/real-clusters", "The course on a kind cluster and on a cluster that you have."),
        Entry("docs/troubleshooting", "What you see, the reason, and what to do."),
        Entry("docs/doctor", "Every rule of the doctor. The id in a message, such as K13, is an anchor of this page."),
    )),
    Section("reference", "Reference", "Pages to look things up in.", (
        Entry("docs/summary-card", "The verbs, the rows of `kubectl get isvc` and the numbers, on one page."),
        Entry("docs/glossary", "The terms of the course and of the project."),
        Entry("docs/canary-page-corrected", "KServe's canary page beside what a real KServe 0.20 shows."),
        Entry("docs/commands", "Every command of KServe's two pages, and the cell that runs it."),
        Entry("docs/api", "The public names of the Python package, from their docstrings."),
        Entry("docs/timeline", "A recorded rollout that you can look back in, moment by moment."),
        Entry("docs/timings", "How long each notebook took when this site was built."),
        Entry("docs/differences", "What the embedded cluster accepts and does not act on."),
        Entry("docs/compatibility", "Other projects' programs and tests on an embedded cluster."),
    )),
    Section("project", "Project", "How kserve-nb is built, and how far you can trust it.", (
        Entry("docs/architecture", "The design, the folders, and what each module reproduces."),
        Entry("docs/reliability", "The faults that are tried, with figures."),
        Entry("docs/admission", "What is validated at apply, rule by rule, with its test."),
        Entry("SECURITY", "The threats, and what protects you."),
        Entry("CONTRIBUTING", "How to set up, test and change the project."),
        Entry("docs/releasing", "How a version is released, and what runs every week."),
        Entry("CHANGELOG", "What changed in each version."),
    )),
)  # fmt: skip


def sections(pages: Iterable[str]) -> tuple[Section, ...]:
    """The sections of the site. Pages of the repository that the table does not list are added to the guide."""
    listed = {page.name for section in SECTIONS for page in section.pages}
    new = tuple(Entry(name) for name in sorted(pages) if name not in listed)
    first, *others = SECTIONS
    return (replace(first, pages=first.pages + new), *others)
