#!/bin/sh
# Reads 1,000 accounts with @polkadot/api and with the chain client of mesh, from
# the same embedded chain in the same run, round by round in turns.
#
#   bench/accounts/run.sh bin/mesh
#
# ACCOUNTS, ROUNDS and BATCHES change the size of it; OUT names a file for all times
# as JSON. @polkadot/api is installed into MESH_BENCH_DIR (default: a folder under
# the temporary folder, kept for the next run); where that fails the exit code is 77.
# 17.0.1 of it cannot be installed: it needs a package that nobody has published.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${MESH_BENCH_DIR:-${TMPDIR:-/tmp}/mesh-bench-accounts}
polkadot=16.5.6
port=${MESH_BENCH_PORT:-19964}
accounts=${ACCOUNTS:-1000}
rounds=${ROUNDS:-20}
batches=${BATCHES:-3}
bin=${1:-}
[ -n "$bin" ] || { echo "usage: $0 bin/mesh" >&2; exit 2; }
case $bin in /*) ;; *) bin=$PWD/$bin ;; esac
command -v node >/dev/null && command -v npm >/dev/null || { echo "needs node and npm" >&2; exit 1; }

mkdir -p "$cache"
if [ ! -f "$cache/node-$polkadot" ]; then
	(cd "$cache" && npm init -y >/dev/null 2>&1 &&
		npm install --loglevel=error --no-audit --no-fund "@polkadot/api@$polkadot" >npm.log 2>&1) || { tail -5 "$cache/npm.log" >&2; exit 77; }
	: >"$cache/node-$polkadot"
fi
cp "$here/read.mjs" "$cache/read.mjs"

pid=
stop() {
	if [ -n "$pid" ]; then
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		pid=
	fi
}
trap stop EXIT INT TERM

# the accounts: 0x01.. with the number in the last bytes, one TENSOR, two, and so on
awk -v n="$accounts" 'BEGIN { for (i = 1; i <= n; i++) printf "0x01%038x\n", i }' >"$cache/accounts.txt"
{
	echo "genesis-account:"
	awk '{ printf "  - \"%s=%d\"\n", $1, NR }' "$cache/accounts.txt"
} >"$cache/genesis.yaml"
url=ws://127.0.0.1:$port
"$bin" chain dev --config "$cache/genesis.yaml" --listen "127.0.0.1:$port" --seal manual --log-level warn >"$cache/chain.log" 2>&1 &
pid=$!
i=0
until node -e "fetch('http://127.0.0.1:$port/health').then(r=>process.exit(r.ok?0:1),()=>process.exit(1))" 2>/dev/null; do
	i=$((i + 1))
	if [ $i -gt 100 ] || ! kill -0 "$pid" 2>/dev/null; then
		cat "$cache/chain.log" >&2
		exit 1
	fi
done

: >"$cache/times"
batch=0
while [ $batch -lt "$batches" ]; do
	batch=$((batch + 1))
	echo "batch $batch of $batches: $rounds rounds each" >&2
	(cd "$cache" && node read.mjs "$url" accounts.txt "$rounds") >>"$cache/times"
	"$bin" bench accounts --rpc "$url" --accounts "$cache/accounts.txt" --rounds "$rounds" --lines >>"$cache/times"
done
node - "$cache/times" "$accounts" "$polkadot" "${OUT:-}" <<'END'
const [file, accounts, version, out] = process.argv.slice(2);
const ms = {}, sums = new Set();
for (const line of require('fs').readFileSync(file, 'utf8').trim().split('\n')) {
  const [name, time, sum] = line.split(' ');
  (ms[name] ??= []).push(Number(time));
  sums.add(sum);
}
if (sums.size !== 1) { console.error('the clients read different balances:', [...sums]); process.exit(1); }
if (out) require('fs').writeFileSync(out, JSON.stringify({ polkadot: version, ms }));
const stat = xs => { xs.sort((a, b) => a - b); return { median: xs[xs.length >> 1], min: xs[0], max: xs[xs.length - 1], n: xs.length }; };
console.log(`${accounts} accounts, milliseconds; every client read ${[...sums][0]} planck in all`);
const width = 56;
console.log(['median', 'min', 'max', 'rounds', 'ratio'].reduce((line, x) => line + x.padStart(9), 'client'.padEnd(width)));
const label = {
  mesh: 'mesh', first: 'first read after connecting', 'multi-fresh': '.multi, all values new', 'queryMulti-fresh': 'queryMulti, all values new',
  multi: '.multi, values known already', queryMulti: 'queryMulti, values known already',
};
const all = {};
for (const name of Object.keys(label)) {
  const s = all[name] = stat(ms[name]);
  const text = name === 'mesh' ? 'mesh' : `@polkadot/api ${version} ${label[name]}`;
  const ratio = name === 'mesh' ? '' : (s.median / all.mesh.median).toFixed(1);
  console.log(`${text.padEnd(width)}${[s.median, s.min, s.max].map(x => x.toFixed(2).padStart(9)).join('')}${String(s.n).padStart(9)}${ratio.padStart(9)}`);
}
END
