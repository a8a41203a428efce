"""Two users of one machine, such as a JupyterHub's: each has a cluster, and neither reaches the other's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from kserve_nb.clusters.kubeconfig_files import read_kubeconfig
from tests.cluster.conftest import Target

ROOT = Path(__file__).parents[2]
OTHER = 54321  # a user id that no account of a test machine has
