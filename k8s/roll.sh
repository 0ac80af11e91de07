#!/usr/bin/env bash
# usage: k8s/roll.sh KUSTOMIZATION    Installs it, or brings it to another release, in the cluster that kubectl points to:
# first what does not run, then the schema, then each part in the order of docs/upgrading.md, then a draw. Safe to run again.
set -euo pipefail
kubectl=${KUBECTL:-kubectl}
kustomization=$1
namespace=${NAMESPACE:-kuji}
timeout=${TIMEOUT:-600s}

staged() { "$kubectl" apply -k "$kustomization" --selector "$1"; }
in_kuji() { "$kubectl" --namespace "$namespace" "$@"; }
# A Job cannot be changed, only made anew.
job() {
  in_kuji delete job "$1" --ignore-not-found
  staged "kuji.dev/stage=$2"
  in_kuji wait job "$1" --for condition=complete --timeout "$timeout"
}
roll() {
  staged "kuji.dev/stage=$1"
  in_kuji get deployments --selector "kuji.dev/stage=$1" --output name |
    while read -r name; do in_kuji rollout status "$name" --timeout "$timeout"; done
}

staged '!kuji.dev/stage'
job migrate 1
for stage in 2 3 4 5; do roll "$stage"; done
job smoke 6
in_kuji logs job/smoke
