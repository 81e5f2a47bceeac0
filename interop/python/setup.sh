#!/bin/sh
# Makes a Python environment with an unmodified hivemind, to test against real Python nodes, and prints the
# path of its interpreter as the last line. Running it again is cheap.
#
#   PY=$(interop/python/setup.sh) && "$PY" interop/python/peer.py --help
#
# The environment lies outside the repository, in $MESH_PYTHON_ENV or the user's cache folder. hivemind and
# what it needs come from PyPI in the versions below; its wheel brings the p2pd daemon. torch is taken from
# the system if it has one (Debian: apt-get install python3-torch python3-venv), else from PyPI.
#
# Where MESH_PYTHON_MESH names a checkout of the Python mesh, a copy of it joins the environment as the package
# subnet, built there as its own installation would build it; the checkout is only read. Its daemon is the
# one in hivemind's wheel: the mesh pins the same file.
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

pip="$env/bin/python -m pip install --quiet --disable-pip-version-check"
if [ ! -f "$env/.complete" ]; then
	rm -rf "$env"
	mkdir -p "$(dirname "$env")"
	# shellcheck disable=SC2086 # an empty word must vanish
	"$base" -m venv $system "$env" >&2
	# shellcheck disable=SC2086
	$pip 'protobuf>=5.29,<7' 'msgpack>=1.0' 'sortedcontainers>=2.4' 'uvloop>=0.19' 'prefetch_generator>=1.0.3' \
		'configargparse>=1.7' 'py-multihash>=2.0' 'cryptography>=3.4.6' 'pydantic>=2.0,<3' 'packaging>=20.9' \
		'varint>=1.0.2' 'base58>=1.0.2' 'netaddr>=1.3' 'idna>=3.10' 'py-cid>=0.3' 'PyYAML' 'numpy>=1.17,<2' 'scipy>=1.9,<1.14' $torch >&2
	# grpcio-tools is needed to build hivemind only.
	$pip --no-deps "hivemind==$version" >&2
	"$env/bin/python" -c 'import hivemind.dht, hivemind.p2p' >&2
	touch "$env/.complete"
fi

if [ -n "${MESH_PYTHON_MESH:-}" ]; then
	if [ ! -d "$MESH_PYTHON_MESH/subnet/dht" ]; then
		echo "setup.sh: MESH_PYTHON_MESH=$MESH_PYTHON_MESH is no checkout of the Python mesh: it has no folder subnet/dht" >&2
		exit 1
	fi
	if [ ! -f "$env/.mesh-complete" ]; then
		# The last grpcio-tools whose output runs with protobuf 6, and what the mesh imports beyond hivemind.
		# shellcheck disable=SC2086
		$pip 'protobuf>=5.29,<7' 'grpcio-tools>=1.60,<1.79' 'py-multibase>=1.0.3' 'morphys>=1.0' 'py-multicodec>=0.2.1' 'tenacity>=8.2.3' \
			'python-dotenv>=1.0.1' 'substrate-interface>=1.7.11' >&2
		touch "$env/.mesh-complete"
	fi
	site=$("$env/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	sum=$(cd "$MESH_PYTHON_MESH" && find subnet -type f -not -name '*.pyc' -exec cksum {} + | LC_ALL=C sort | cksum)
	if [ "$(cat "$env/.mesh-sum" 2>/dev/null)" != "$sum" ]; then
		rm -rf "$site/subnet" "$env/.mesh-sum"
		cp -r "$MESH_PYTHON_MESH/subnet" "$site/subnet"
		rm -f "$site"/subnet/proto/*_pb2.py
		(cd "$site" && "$env/bin/python" -m grpc_tools.protoc --proto_path=subnet/proto --python_out=subnet/proto subnet/proto/*.proto)
		sed -i.orig 's/^\(import .*_pb2\)/from . \1/' "$site"/subnet/proto/*_pb2.py # they import each other
		rm -f "$site"/subnet/proto/*.orig
		cp "$site/hivemind/hivemind_cli/p2pd" "$site/subnet/subnet_cli/p2pd"
		"$env/bin/python" -c 'import subnet.app.server.server' >&2
		printf '%s' "$sum" >"$env/.mesh-sum"
	fi
fi
echo "$env/bin/python"
