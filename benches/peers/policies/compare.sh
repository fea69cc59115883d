#!/bin/sh
# Measures hcb's evaluation of policies beside that of the API server and of kyverno's command line,
# on the same files, one after the other:
#
#   benches/peers/policies/compare.sh 2000        # manifests; the policies are 20
#
# Needs cargo, go and GNU time (`/usr/bin/time`). `nice` and `GOFLAGS` are left to who calls it.
set -eu
count=${1:-2000}
root=$(cd "$(dirname "$0")/../../.." && pwd)
files=$root/target/peers/$count
binaries=$root/target/peers/bin
mkdir -p "$files" "$binaries"

(cd "$root/benches/peers/policies" && CGO_ENABLED=0 go build -trimpath -o "$binaries/apiserver" ./apiserver)
(cd "$root/benches/peers/policies" && CGO_ENABLED=0 go build -trimpath -o "$binaries/kyverno" github.com/kyverno/kyverno/cmd/cli/kubectl-kyverno)
cd "$root"
cargo bench --locked --bench policies --no-run # so that no build is in the times
measure() { /usr/bin/time -f '  %e s wall, %U s user, %M KiB at most' "$@"; }

echo "hcb"
measure cargo bench --locked --quiet --bench policies -- "$count" 20 "$files"
echo "the API server's evaluator"
measure "$binaries/apiserver" "$files"

# Where a policy has a binding, kyverno's command line does not look at what the policy matches, and
# evaluates those for workloads on Services too. Without one it does, so it is given none.
awk 'BEGIN { RS = "---\n" } !/kind: ValidatingAdmissionPolicyBinding/ { printf "%s---\n", $0 }' \
    "$files/policies.yaml" >"$files/unbound.yaml"
echo "kyverno"
# It exits with 1 since there are violations; the last line says how many.
measure "$binaries/kyverno" apply "$files/unbound.yaml" --resource "$files/manifests.yaml" >"$files/kyverno.txt" || true
tail -n 1 "$files/kyverno.txt"
