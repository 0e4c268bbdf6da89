"""What `deploy/` holds is valid, without a cloud, a container engine or a batch system at hand."""

import copy
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
    *others, job = yaml.safe_load_all((DEPLOY / "rayjob.yaml").read_text())
    assert [other["kind"] for other in others] == ["PersistentVolumeClaim", "NetworkPolicy"]
    return job


def pods(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Templates of the head's pod, of the workers', and of the one that submits, which the operator makes otherwise."""
    cluster = job["spec"]["rayClusterSpec"]
    groups = (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])
    return [*(group["template"] for group in groups), job["spec"]["submitterPodTemplate"]]


def offences(template: dict[str, Any]) -> list[str]:
    """Which rules of those who run clusters a pod breaks."""
    pod, found = template["spec"], []
    user = pod.get("securityContext", {})
    rules = {
        "may be root": user.get("runAsNonRoot") is True and user.get("runAsUser", 0) > 0,
        "may call anything of the kernel": user.get("seccompProfile") == {"type": "RuntimeDefault"},
        "holds a key to Kubernetes": pod.get("automountServiceAccountToken") is False,
        "uses the host": not {"hostNetwork", "hostPID", "hostIPC"} & set(pod),
        "mounts the host": not any("hostPath" in volume for volume in pod["volumes"]),
        "has scratch without a limit": all(v["emptyDir"].get("sizeLimit") for v in pod["volumes"] if "emptyDir" in v),
        "walks through the store at its start": user.get("fsGroupChangePolicy") == "OnRootMismatch",
    }
    for one in pod["containers"]:
        own, resources = one.get("securityContext", {}), one.get("resources", {})
        image = re.fullmatch(r"[\w.\-/]+/nearfield(:(?P<tag>[\w.-]+)|@sha256:[0-9a-f]{64})", one["image"])
        rules |= {
            "may become root": own.get("allowPrivilegeEscalation") is False and not own.get("privileged"),
            "has capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "can write into its image": own.get("readOnlyRootFilesystem") is True,
            "has an image that may change": bool(image) and image["tag"] not in ("latest", "cpu", "gpu"),
            "takes what it wants": {"cpu", "memory", "ephemeral-storage"} <= resources.get("limits", {}).keys()
            and resources.get("limits") == resources.get("requests"),
            "has a secret in its words": not any("value" in env for env in one.get("env", []))
            and not any("token" in word.lower() for word in [*one.get("command", []), *one.get("args", [])]),
        }
    found += [rule for rule, holds in rules.items() if not holds]
    return found


def test_the_pods_keep_to_the_rules_of_those_who_run_clusters() -> None:
    assert [offences(template) for template in pods(rayjob())] == [[], [], [], []]
    *nodes, submitter = pods(rayjob())
    mounts = [[mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]] for pod in nodes]
    assert mounts == [["/store", "/tmp", "/home/nearfield"]] * 3
    assert submitter["spec"]["restartPolicy"] == "Never"  # Kubernetes takes no Job without one
    assert [mount["mountPath"] for mount in submitter["spec"]["containers"][0]["volumeMounts"]] == ["/tmp"]
    spoils: dict[str, Any] = {
        "may be root": lambda pod: pod["securityContext"].pop("runAsNonRoot"),
        "may call anything of the kernel": lambda pod: pod["securityContext"].pop("seccompProfile"),
        "holds a key to Kubernetes": lambda pod: pod.pop("automountServiceAccountToken"),
        "uses the host": lambda pod: pod.update(hostNetwork=True),
        "mounts the host": lambda pod: pod["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
        "has scratch without a limit": lambda pod: pod["volumes"].append({"name": "x", "emptyDir": {}}),
        "walks through the store at its start": lambda pod: pod["securityContext"].pop("fsGroupChangePolicy"),
        "may become root": lambda pod: pod["containers"][0]["securityContext"].update(privileged=True),
        "has capabilities": lambda pod: pod["containers"][0]["securityContext"].pop("capabilities"),
        "can write into its image": lambda pod: pod["containers"][0]["securityContext"].pop("readOnlyRootFilesystem"),
        "has an image that may change": lambda pod: pod["containers"][0].update(image="r.io/nearfield:latest"),
        "takes what it wants": lambda pod: pod["containers"][0]["resources"]["limits"].pop("memory"),
        "has a secret in its words": lambda pod: pod["containers"][0].update(args=["--token", "x"]),
    }
    for rule, spoil in spoils.items():
        template = copy.deepcopy(pods(rayjob())[0])  # what is shared in the file is shared in memory
        spoil(template["spec"])
        assert offences(template) == [rule]


def test_the_image_is_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for template in pods(rayjob()):
        assert re.search(rf":{re.escape(version)}-(cpu|gpu)$", template["spec"]["containers"][0]["image"])
    assert f"`nearfield:{version}-cpu` and `nearfield:{version}-gpu`" in (DEPLOY / "kubernetes.md").read_text()


def test_the_network_policy_lets_in_the_pods_and_the_operator() -> None:
    _, policy, job = yaml.safe_load_all((DEPLOY / "rayjob.yaml").read_text())
    own = policy["spec"]["podSelector"]["matchLabels"]
    assert all(template["metadata"]["labels"] == own for template in pods(job))
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    anywhere, dashboard = policy["spec"]["ingress"]
    assert anywhere == {"from": [{"podSelector": {"matchLabels": own}}]}
    assert dashboard["ports"] == [{"port": 8265}]
    (operator,) = dashboard["from"]  # in any namespace, but none as a whole
    assert operator["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "kuberay-operator"}}
    inner, names = policy["spec"]["egress"]
    assert inner == {"to": [{"podSelector": {"matchLabels": own}}]}
    assert {port["port"] for port in names["ports"]} == {53}


def test_no_token_stands_in_a_list_of_processes() -> None:
    """Nowhere in what is run or shown does one follow a word of a command; `-e NAME` hands on what a variable holds."""
    for path in sorted(DEPLOY.iterdir()):
        for line in path.read_text().splitlines():
            assert not re.search(r"(?i)--\S*(token|password|secret)\S*[ =]", line), f"{path.name}: {line}"
            assert not re.search(r"-e \w*(TOKEN|SECRET|PASSWORD)\w*=", line), f"{path.name}: {line}"
            assert not re.search(r"(?i)token=[0-9a-f]{8}", line), f"{path.name}: {line}"


def test_containers_run_without_privileges_and_images_are_pinned() -> None:
    runs = [line for line in (DEPLOY / "docker.md").read_text().splitlines() if line.startswith("docker run")]
    assert len(runs) == 5
    for line in runs:
        assert "--cap-drop ALL --security-opt no-new-privileges" in line
        assert "--privileged" not in line
        assert "docker.sock" not in line
    first, *_ = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert re.fullmatch(r"# syntax=docker/dockerfile:\d+\.\d+(\.\d+)?", first)
    stages = {line.split()[3] for line in instructions() if line.startswith("FROM")}
    for line in (line for line in instructions() if line.startswith("FROM")):
        source = line.split()[1]
        assert source in stages or re.search(r":\d+\.\d+\.\d+-[a-z-]+$|@sha256:[0-9a-f]{64}$", source), line


def test_machines_of_the_cloud_hand_their_credentials_to_no_page() -> None:
    config = yaml.safe_load((DEPLOY / "cloud.yaml").read_text())
    for kind in config["available_node_types"].values():
        assert kind["node_config"]["MetadataOptions"] == {"HttpTokens": "required"}


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
