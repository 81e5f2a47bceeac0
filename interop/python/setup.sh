#!/bin/sh
# Makes a Python environment with an unmodified hivemind, to test against real Python nodes, and prints the
# path of its interpreter as the last line. Running it again is cheap.
#
#   PY=$(interop/python/setup.sh) && "$PY" interop/python/peer.py --help
#
# The environment lies outside the repository, in $MESH_PYTHON_ENV or the user's cache folder. hivemind and
# what it needs come from PyPI in the versions below; its wheel brings the p2pd daemon. torch is taken from
# the system if it has one (Debian: apt-get install python3-torch python3-venv), else from PyPI.
set -eu

version=1.1.12 # of hivemind
env=${MESH_PYTHON_ENV:-${XDG_CACHE_HOME:-$HOME/.cache}/mesh/python-$version}

# A Python whose torch is there already saves half a gigabyte.
base=${MESH_PYTHON:-}
if [ -z "$base" ]; then
	for candidate in python3 /usr/bin/python3; do
		if "$candidate" -c 'import torch' >/dev/null 2>&1; then
			base=$candidate
			break
		fi
	done
fi
system=--system-site-packages
torch=
if [ -z "$base" ]; then
	base=python3 system='' torch='torch>=2.0'
fi

if [ ! -f "$env/.complete" ]; then
	rm -rf "$env"
	mkdir -p "$(dirname "$env")"
	# shellcheck disable=SC2086 # an empty word must vanish
	"$base" -m venv $system "$env" >&2
	pip="$env/bin/python -m pip install --quiet --disable-pip-version-check"
	# shellcheck disable=SC2086
	$pip 'protobuf>=5.29,<7' 'msgpack>=1.0' 'sortedcontainers>=2.4' 'uvloop>=0.19' 'prefetch_generator>=1.0.3' \
		'configargparse>=1.7' 'py-multihash>=2.0' 'cryptography>=3.4.6' 'pydantic>=2.0,<3' 'packaging>=20.9' \
		'varint>=1.0.2' 'base58>=1.0.2' 'netaddr>=1.3' 'idna>=3.10' 'py-cid>=0.3' 'PyYAML' 'numpy>=1.17,<2' 'scipy>=1.9,<1.14' $torch >&2
	# grpcio-tools is needed to build hivemind only.
	$pip --no-deps "hivemind==$version" >&2
	"$env/bin/python" -c 'import hivemind.dht, hivemind.p2p' >&2
	touch "$env/.complete"
fi
echo "$env/bin/python"
