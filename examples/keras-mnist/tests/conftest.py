"""What the tests share: a data set, and places to write to."""

import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
PROGRAM = Path(__file__).parent.parent
sys.path.insert(0, str(PROGRAM))

import pytest  # noqa: E402

import make_dataset  # noqa: E402


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """The data set of the example."""
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    make_dataset.write(path)
    return path


@pytest.fixture(params=["file", "s3"])
def place(request, tmp_path) -> str:
    """A folder: of this machine, and of a real object store where `HCB_TEST_S3` names one."""
    if request.param == "file":
        return tmp_path.as_uri() + "/"
    bucket = os.environ.get("HCB_TEST_S3")
    if not bucket:
        pytest.skip("SKIPPED with an object store: HCB_TEST_S3 names none, such as s3://BUCKET/")
    return f"{bucket}{request.node.name}/"
