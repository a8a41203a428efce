"""The tutorial's two iris models: their `gs://` names, and the kernel of the classifier that each of them is.

KServe's tutorial uses `gs://kfserving-examples/models/sklearn/1.0/model` and `…/model-2`.
"""

from __future__ import annotations

BUCKETS = ("kfserving-examples", "kserve-examples")
FOLDER = "models/sklearn/1.0"
FILE = "model.joblib"

KERNELS = {"model": "rbf", "model-2": "linear"}
"""The kernel of the support vector classifier of each model, by the model's name."""
