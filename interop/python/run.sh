#!/bin/sh
# Runs a swarm of Go and real Python nodes on loopback and checks that no value is lost or altered between them.
# Ends with "N passed, N failed". Arguments go to swarm.py: --keys 1000 --nodes 4.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/setup.sh" | tail -n 1)
binary=$(mktemp -d)/gonode
trap 'rm -rf "$(dirname "$binary")"' EXIT
(cd "$here" && CGO_ENABLED=0 go build -o "$binary" ./gonode)
"$python" "$here/swarm.py" "$binary" "$@"
