#!/usr/bin/env bash
# All of Kuji in the cluster that kubectl points to, stores included; safe to run again. The image "kuji" has to be known
# to its nodes, see docs/kubernetes.md.
set -euo pipefail
cd "$(dirname "$0")"
kubectl=${KUBECTL:-kubectl}
kuji=${KUJI:-../.venv/bin/kuji}
in_kuji="$kubectl --namespace kuji"

$kubectl apply -f base/namespace.yaml
# Made once: seeds and keys in the database are encrypted with them.
if [ -z "$($in_kuji get secret kuji-operator --ignore-not-found --output name)" ]; then
  $kuji secrets | $kubectl create -f -
fi
# A Job cannot be changed, only made anew.
$in_kuji delete job migrate --ignore-not-found
$kubectl apply -k overlays/dev
$in_kuji wait job migrate --for condition=complete --timeout 600s
for part in auth draw admin history recorder envoy; do
  $in_kuji rollout status deployment "$part" --timeout 600s
done
