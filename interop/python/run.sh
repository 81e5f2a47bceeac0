#!/bin/sh
# Runs swarms of Go and real Python nodes on loopback and checks that no value is lost or altered between them.
# Ends with "N passed, N failed". Arguments go to swarm.py: --keys 1000 --nodes 4.
#
# First single peers call each other. Then come swarms: with nodes of hivemind, plain and with signed messages. Where
# MESH_PYTHON_MESH names a checkout of the Python mesh, its peers, its nodes and its server programs take part too.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/setup.sh" | tail -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$here" && CGO_ENABLED=0 go build -o "$work/gonode" ./gonode)
passed=0 failed=0

swarm() { # program, arguments...
	echo "=== $*"
	program=$1
	shift
	"$python" "$here/$program" "$work/gonode" "$@" 2>&1 | tee "$work/log"
	last=$(tail -n 1 "$work/log")
	case $last in
	*' passed, '*' failed')
		passed=$((passed + ${last%% *}))
		last=${last#* passed, }
		failed=$((failed + ${last%% *}))
		;;
	*)
		echo "FAIL $program ended early"
		failed=$((failed + 1))
		;;
	esac
}

peers() { # the Go tests of single peers, with the same interpreter
	echo "=== peers"
	(cd "$here" && MESH_PYTHON=$python go test -count=1 -v .) >"$work/log" 2>&1 || true
	grep -E '^ *--- (PASS|FAIL)|^ok|^FAIL|_test.go:' "$work/log" || cat "$work/log"
	ok=$(grep -c -E '^ *--- PASS' "$work/log" || true) bad=$(grep -c -E '^ *--- FAIL' "$work/log" || true)
	[ "$ok" -gt 0 ] || bad=$((bad + 1)) # nothing ran
	passed=$((passed + ok)) failed=$((failed + bad))
}

peers
swarm swarm.py "$@"
swarm signed.py hivemind
if [ -n "${MESH_PYTHON_MESH:-}" ]; then
	swarm signed.py mesh
	swarm rules.py
else
	echo "=== the Python mesh: skipped, MESH_PYTHON_MESH names no checkout of it"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
