#!/usr/bin/env bash
# All of Kuji in the cluster that kubectl points to, stores included; safe to run again. The image "kuji" has to be known
# to its nodes, see docs/kubernetes.md.
set -euo pipefail
cd "$(dirname "$0")"
kubectl=${KUBECTL:-kubectl}
kuji=${KUJI:-../.venv/bin/kuji}

"$kubectl" apply -f base/namespace.yaml
# Made once: seeds and keys in the database are encrypted with them.
if [ -z "$("$kubectl" --namespace kuji get secret kuji-operator --ignore-not-found --output name)" ]; then
  "$kuji" secrets | "$kubectl" create -f -
fi
./roll.sh overlays/dev
