"""What `deploy/` holds is valid, without a cloud, a container engine or a batch system at hand."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import ray.autoscaler
import yaml

import engine

ROOT = Path(engine.__file__).parent.parent
DEPLOY = ROOT / "deploy"
PINNED = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
)


def rayjob() -> dict[str, Any]:
    claim, job = yaml.safe_load_all((DEPLOY / "rayjob.yaml").read_text())
    assert claim["kind"] == "PersistentVolumeClaim"
    return job


def test_the_rayjob_is_valid_under_the_operators_schema() -> None:
    schema = json.loads((Path(__file__).parent / "schemas/kuberay-rayjob.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(rayjob())
    for spoil in (
        lambda spec: spec.update(entryPoint="nearfield"),
        lambda spec: spec["rayClusterSpec"]["authOptions"].update(mode="yes"),
        lambda spec: spec["rayClusterSpec"]["workerGroupSpecs"][0].update(replicas="4"),
        lambda spec: spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0].update(ports=[80]),
        lambda spec: spec["rayClusterSpec"].pop("headGroupSpec"),
    ):
        job = rayjob()
        spoil(job["spec"])
        assert not validator.is_valid(job)


def test_the_rayjob_is_coherent() -> None:
    spec = rayjob()["spec"]
    cluster = spec["rayClusterSpec"]
    assert cluster["rayVersion"] == PINNED["ray"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert " --store /store/" in spec["entrypoint"]
    assert "--shared-storage" in spec["entrypoint"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for pod in (group["template"]["spec"] for group in groups):
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert {"name": "store", "mountPath": "/store"} in container["volumeMounts"]
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "nearfield-store"
    gpu = groups[-1]
    assert "nvidia.com/gpu" in gpu["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert json.loads(json.loads(gpu["rayStartParams"]["resources"])) == {"driver": 1}


def test_the_cloud_file_is_valid_under_rays_schema() -> None:
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    config = yaml.safe_load((DEPLOY / "cloud.yaml").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    validator.validate(config)
    assert config["head_node_type"] in config["available_node_types"]
    assert not validator.is_valid({**config, "max_worker": 4})
    assert any("RAY_AUTH_MODE=token" in line for line in config["setup_commands"])
    assert "/home/ubuntu/.ray/auth_token" in config["file_mounts"]


def test_shell_scripts_are_clean() -> None:
    scripts = [DEPLOY / "slurm.sh", ROOT / ".ci/run"]
    shellcheck = Path(sys.executable).parent / "shellcheck"
    subprocess.run([shellcheck, *scripts], check=True)
    for script in scripts:
        subprocess.run(["bash", "-n", script], check=True)
        assert os.access(script, os.X_OK)


def test_the_slurm_script_starts_ray_on_every_node_with_a_token_of_its_own(tmp_path: Path) -> None:
    tools = tmp_path / ".venv/bin"
    tools.mkdir(parents=True)
    (tools / "activate").write_text(f'export PATH="{tools}:$PATH"\n')
    for name, body in {
        "scontrol": "printf 'n1\\nn2\\n'",
        "srun": 'printf "%s\\n" "$RAY_AUTH_MODE" "$RAY_AUTH_TOKEN" "$*"',
        "python": f'exec {sys.executable} "$@"',
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    slurm = {
        "JOB_ID": "4711",
        "JOB_NODELIST": "n[1-2]",
        "NNODES": "2",
        "CPUS_ON_NODE": "32",
        "SUBMIT_DIR": str(tmp_path),
    }
    environment = {**os.environ, **{f"SLURM_{name}": value for name, value in slurm.items()}}
    command = [DEPLOY / "slurm.sh", "leakage:fig1", "--store", "/shared/a b.zarr"]
    runs = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(2)]
    mode, token, words = runs[0].stdout.splitlines()
    assert mode == "token"
    assert re.fullmatch(r"[0-9a-f]{64}", token)
    assert runs[1].stdout.splitlines()[1] != token
    assert words == (
        "--ntasks=2 --ntasks-per-node=1 --cpus-per-task=32 --kill-on-bad-exit=1 ray symmetric-run --address n1:24711 "
        "--min-nodes 2 --num-cpus=32 -- nearfield run leakage:fig1 --store /shared/a b.zarr --address n1:24711 "
        "--shared-storage"
    )
    without = subprocess.run(command[:1], env=environment, capture_output=True, text=True, check=False)
    assert without.returncode == 2
    assert without.stderr.startswith("usage: sbatch")


def instructions() -> list[str]:
    """The Dockerfile's, continued lines joined as Docker joins them."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", "").splitlines() if line]


def test_the_dockerfile_keeps_to_the_rules() -> None:
    subprocess.run([Path(sys.executable).parent / "hadolint", DEPLOY / "Dockerfile"], check=True)
    stages = " ".join(instructions()).split("FROM ")[1:]
    assert {stage.split()[2] for stage in stages} >= {"cpu", "gpu"}
    for stage in stages:
        if stage.split()[2] in ("cpu", "gpu"):
            assert "RUN" not in stage.partition("USER 1000")[2]
            assert stage.rstrip().endswith('CMD ["nearfield", "--help"]')
    for line in instructions():
        assert not line.startswith("ENTRYPOINT")  # it would stand before KubeRay's commands
        for install in re.findall(r"pip (?:install|wheel) [^&|]*", line):
            assert "-c constraints.txt" in install or "--no-deps" in install


def test_the_image_gets_every_declared_and_pinned_package(tmp_path: Path) -> None:
    """The Dockerfile's own line makes the list; its COPY finds what it names; nothing else reaches the engine."""
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    copied = [word for line in instructions() if line.startswith("COPY") for word in line.split()[1:-1]]
    assert allowed[0] == "*"
    assert {f"!{name}" for name in copied} == {line for line in allowed if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    rule = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {pattern.removesuffix("*") for pattern in rule} == {name for name in copied if (ROOT / name).is_dir()}
    (listing,) = [line for line in instructions() if "requirements.txt" in line]
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = listing.removeprefix("RUN ").partition("&&")[0]
    subprocess.run(["sh", "-c", command.replace("python", sys.executable, 1)], cwd=tmp_path, check=True)
    listed = (tmp_path / "requirements.txt").read_text().splitlines()
    extras = project["project"]["optional-dependencies"]
    assert listed == [*project["project"]["dependencies"], *extras["cluster"], *extras["plot"], *extras["s3"]]
    pinned = {name.lower().replace("_", "-") for name in PINNED}
    for requirement in (*listed, "cupy-cuda13x"):
        assert re.split(r"[\[<>=]", requirement)[0].lower() in pinned
