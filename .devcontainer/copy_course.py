"""Copy the course into the workspace: notebooks that the learner has edited are kept."""

from pathlib import Path

from kserve_nb.runner import course

course.copy_course(course.find_course(), Path(course.FOLDER))
