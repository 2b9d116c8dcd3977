#!/bin/bash
# Trains with a worker on each of four nodes; `sbatch slurm.sh`. Every node must see the same paths.
#SBATCH --job-name=tfbert
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --signal=TERM@120
set -euo pipefail
TFBERT_CLUSTER_TOKEN=$(head -c 16 /dev/urandom | base64)
export TFBERT_CLUSTER_TOKEN
resume=()
[ -e runs/mrpc/run.json ] && resume=(--resume)
srun --kill-on-bad-exit=0 tfbert train --task mrpc --cluster slurm \
  --threads "$SLURM_CPUS_PER_TASK" --output runs/mrpc "${resume[@]}"
