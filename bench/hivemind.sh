#!/usr/bin/env bash
# Measures mesh and hivemind with the parameters of hivemind's own DHT benchmark, one after the other on this machine, and prints a table.
#
#   bash bench/hivemind.sh bin/mesh [--peers 16 --keys 1024 --batch 64 --value 16 --replicas 5 --seed 1 ...]
#
# Arguments after the binary go to both sides. MESH_HIVEMIND_PYTHON names a Python that has hivemind; without it interop/python/setup.sh
# makes one in the user's cache folder. ROUNDS (3) is how often both are run, in turns; the table has the medians.
# All runs are stored in OUT, by default bench/results/hivemind-DATE.json.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { sed -n 2,9p "$0" >&2; exit 2; }
mesh=$1
shift
[ -x "$mesh" ] || { echo "$mesh is no program; make it with \`make build\`" >&2; exit 2; }
params=("$@")
[ ${#params[@]} -gt 0 ] || params=(--peers 16 --keys 1024)
python=${MESH_HIVEMIND_PYTHON:-}
[ -n "$python" ] || python=$("$here/../interop/python/setup.sh" | tail -n 1)

# The two sides differ in how they write flags and times.
theirs=() ours=()
for p in "${params[@]}"; do
	case $p in
	--wait-timeout | --wait_timeout) theirs+=(--wait_timeout) ours+=(--wait-timeout) ;;
	*[0-9]s) theirs+=("${p%s}") ours+=("$p") ;;
	*) theirs+=("$p") ours+=("$p") ;;
	esac
done

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for round in $(seq "${ROUNDS:-3}"); do
	echo "round $round: hivemind" >&2
	"$python" "$here/peers_hivemind.py" "${theirs[@]}" >>"$out/theirs"
	echo "round $round: mesh" >&2
	"$mesh" bench dht --json "${ours[@]}" >>"$out/ours"
done

to=${OUT:-$here/results/hivemind-$(date +%Y-%m-%d).json}
mkdir -p "$(dirname "$to")"
"$python" - "$out/ours" "$out/theirs" "$to" <<'PY'
import json, statistics, sys

ours, theirs = ([json.loads(l) for l in open(p) if l.startswith("{")] for p in sys.argv[1:3])
rows = [("start_s", "s to start all nodes"), ("store_ms", "ms a key to store"), ("get_ms", "ms a key to get"),
        ("store_success", "share stored"), ("get_success", "share found unaltered"), ("memory_mib", "MiB of all processes")]
table = {}
print(f"{ours[0]['peers']} peers, {ours[0]['keys']} keys, {ours[0]['batch']} a batch; medians of {len(ours)} runs each")
print(f"{'':<24}{'mesh':>12}{'hivemind':>12}{'mesh/hivemind':>16}")
for name, label in rows:
    a, b = (statistics.median(r[name] for r in side) for side in (ours, theirs))
    table[name] = dict(mesh=a, hivemind=b, ratio=a / b if b else None)
    print(f"{label:<24}{a:>12.3f}{b:>12.3f}{(f'{a / b:.4f}' if b else '-'):>16}")
with open(sys.argv[3], "w") as f:
    json.dump(dict(table=table, mesh=ours, hivemind=theirs), f, indent=1)
print(f"stored in {sys.argv[3]}")
PY
