#!/bin/sh
# Runs @polkadot/api and substrate-interface against the embedded chain.
#
#   interop/substrate/run.sh bin/mesh          start `mesh chain dev` for each client
#   MESH_URL=ws://127.0.0.1:9944 run.sh        use a chain that runs already (dev_ methods are needed)
#
# Both clients are installed into MESH_INTEROP_DIR (default: a folder under the
# temporary folder, kept for the next run). The last line is "N passed, N failed".
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${MESH_INTEROP_DIR:-${TMPDIR:-/tmp}/mesh-interop-substrate}
polkadot=16.5.6   # @polkadot/api
pysubstrate=1.8.1 # substrate-interface
port=${MESH_INTEROP_PORT:-19944}
bin=${1:-}
mkdir -p "$cache"

if [ -z "$bin" ] && [ -z "${MESH_URL:-}" ]; then
	echo "usage: $0 bin/mesh" >&2
	exit 2
fi

install_node() {
	command -v node >/dev/null && command -v npm >/dev/null || { echo "polkadot.js: no node and npm here" >&2; return 1; }
	[ -f "$cache/node-$polkadot" ] && return 0
	(cd "$cache" && npm init -y >/dev/null 2>&1 &&
		npm install --silent --no-audit --no-fund "@polkadot/api@$polkadot" >"$cache/npm.log" 2>&1) || { tail -5 "$cache/npm.log" >&2; return 1; }
	: >"$cache/node-$polkadot"
}

install_python() {
	command -v python3 >/dev/null || { echo "substrate-interface: no python3 here" >&2; return 1; }
	[ -f "$cache/py-$pysubstrate" ] && return 0
	{ python3 -m venv "$cache/venv" && "$cache/venv/bin/pip" -q install "substrate-interface==$pysubstrate"; } >"$cache/pip.log" 2>&1 ||
		{ tail -5 "$cache/pip.log" >&2; return 1; }
	: >"$cache/py-$pysubstrate"
}

pid=
stop() {
	if [ -n "$pid" ]; then
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		pid=
	fi
}
trap stop EXIT INT TERM

# start runs a fresh chain and waits for its port.
start() {
	if [ -n "${MESH_URL:-}" ]; then
		url=$MESH_URL
		return 0
	fi
	url=ws://127.0.0.1:$port
	"$bin" chain dev --listen "127.0.0.1:$port" --seal instant --finality-lag 0 --epoch-length 20 >"$cache/chain.log" 2>&1 &
	pid=$!
	i=0
	until node -e "fetch('http://127.0.0.1:$port/health').then(r=>process.exit(r.ok?0:1),()=>process.exit(1))" 2>/dev/null ||
		python3 -c "import urllib.request as u;u.urlopen('http://127.0.0.1:$port/health',timeout=1)" 2>/dev/null; do
		i=$((i + 1))
		if [ "$i" -gt 50 ] || ! kill -0 "$pid" 2>/dev/null; then
			echo "the chain does not start:" >&2
			tail -5 "$cache/chain.log" >&2
			return 1
		fi
		sleep 0.2
	done
}

passed=0
failed=0
# client runs one script, which prints "ok ..." and "not ok ..." lines.
client() {
	name=$1
	shift
	if ! start; then
		failed=$((failed + 1))
		return
	fi
	echo "== $name"
	status=0
	"$@" "$url" >"$cache/$name.out" 2>"$cache/$name.err" || status=$?
	stop
	grep -E '^(ok|not ok|skip) ' "$cache/$name.out" || true
	p=$(grep -c '^ok ' "$cache/$name.out" || true)
	f=$(grep -c '^not ok ' "$cache/$name.out" || true)
	if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
		echo "not ok $name ended with status $status:"
		tail -5 "$cache/$name.err"
		f=1
	fi
	passed=$((passed + p))
	failed=$((failed + f))
}

if install_node; then client polkadot node "$here/polkadot.mjs" "$cache"; else failed=$((failed + 1)); fi
if install_python; then client python "$cache/venv/bin/python" "$here/substrate.py"; else failed=$((failed + 1)); fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
