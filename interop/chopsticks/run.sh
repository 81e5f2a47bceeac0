#!/bin/sh
# Runs the chain client against the real runtime of a raw chain specification, executed by Chopsticks.
#
#   MESH_CHAIN_SPEC=hoskinsonSpecRaw.json interop/chopsticks/run.sh
#
# Chopsticks verifies signatures with the runtime itself and has no network_* methods: reads go by storage and state_call. It
# is installed into MESH_INTEROP_DIR (default: a folder under the temporary folder, kept for the next run).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${MESH_INTEROP_DIR:-${TMPDIR:-/tmp}/mesh-interop-chopsticks}
version=1.5.1
port=${MESH_INTEROP_PORT:-19955}

if [ -z "${MESH_CHAIN_SPEC:-}" ]; then
	echo "skipped: MESH_CHAIN_SPEC names no raw chain specification"
	exit 0
fi
case $MESH_CHAIN_SPEC in /*) spec=$MESH_CHAIN_SPEC ;; *) spec=$(pwd)/$MESH_CHAIN_SPEC ;; esac
[ -r "$spec" ] || { echo "cannot read $spec" >&2; exit 1; }
command -v node >/dev/null && command -v npm >/dev/null || { echo "needs node and npm" >&2; exit 1; }

mkdir -p "$cache"
if [ ! -f "$cache/chopsticks-$version" ]; then
	(cd "$cache" && npm init -y >/dev/null 2>&1 &&
		npm install --silent --no-audit --no-fund "@acala-network/chopsticks@$version" >npm.log 2>&1) || { tail -5 "$cache/npm.log" >&2; exit 1; }
	: >"$cache/chopsticks-$version"
fi

cat >"$cache/config.yml" <<YAML
genesis: $spec
port: $port
build-block-mode: Manual
mock-signature-host: false
allow-unresolved-imports: true
YAML
(cd "$cache" && exec node node_modules/@acala-network/chopsticks/chopsticks.cjs --config config.yml) >"$cache/chopsticks.log" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null || true; wait $pid 2>/dev/null || true' EXIT INT TERM
i=0
until grep -q "RPC listening" "$cache/chopsticks.log"; do
	i=$((i + 1))
	if [ $i -gt 120 ] || ! kill -0 $pid 2>/dev/null; then
		tail -20 "$cache/chopsticks.log" >&2
		exit 1
	fi
	sleep 0.5
done

cd "$here/../.."
MESH_REAL_RUNTIME=ws://127.0.0.1:$port go test ./chain/substrate -count=1 -timeout 10m -run TestRealRuntime -v
