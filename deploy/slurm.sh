#!/usr/bin/env bash
# A study on all nodes of a Slurm allocation; see slurm.md.
#   sbatch --nodes 4 deploy/slurm.sh leakage:fig1 --store /shared/fig1.zarr --realizations 100000
#SBATCH --job-name=nearfield
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --output=nearfield-%j.log
set -euo pipefail

if [[ $# -eq 0 ]]; then
    echo "usage: sbatch [--nodes N] deploy/slurm.sh [NAME] --store PATH [OPTION…], PATH being mounted on every node" >&2
    exit 2
fi
# shellcheck disable=SC1091
source "${NEARFIELD_VENV:-$SLURM_SUBMIT_DIR/.venv}/bin/activate"

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
address="${nodes[0]}:$((20000 + SLURM_JOB_ID % 10000))"

# Others on the cluster's network reach Ray's ports: only who has this job's own token is let in.
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
export RAY_USAGE_STATS_ENABLED=0 RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300

# --exclusive, because symmetric-run ends with `ray stop`, which stops every Ray of this user on the node.
# --cpus-per-task, because a step is bound to one core otherwise.
srun --ntasks="$SLURM_NNODES" --ntasks-per-node=1 --cpus-per-task="$SLURM_CPUS_ON_NODE" --kill-on-bad-exit=1 \
    ray symmetric-run --address "$address" --min-nodes "$SLURM_NNODES" --num-cpus="$SLURM_CPUS_ON_NODE" -- \
    nearfield run "$@" --address "$address" --shared-storage
