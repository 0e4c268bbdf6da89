"""What differs inside a job that `ray job submit` started."""

import json
import os
from pathlib import Path

from engine.errors import StoreError

_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray sets it for the job's entrypoint alone


def is_submitted() -> bool:
    """Whether this process is the entrypoint of a submitted job, whose cluster RAY_ADDRESS names."""
    return _JOB_CONFIG in os.environ


def require_lasting(store: str | os.PathLike[str]) -> None:
    """Refuse a store in a job's copy of the submitted working directory, which Ray deletes after the job."""
    if not is_submitted() or "://" in str(store):
        return
    runtime_env = json.loads(os.environ[_JOB_CONFIG]).get("runtime_env") or {}
    path = Path(store)
    if runtime_env.get("working_dir") and (not path.is_absolute() or path.is_relative_to(Path.cwd())):
        raise StoreError(
            f"{store} would lie in this job's copy of the working directory and be deleted with it: give --store an "
            f"absolute path that outlives the job"
        )
