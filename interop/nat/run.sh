#!/usr/bin/env bash
# Runs nodes behind NAT routers, in network namespaces of this machine that nothing leads out of.
#
#   interop/nat/run.sh [bin/mesh]
#
#   public segment 7.0.0.0/8 ----+---------------------+--------------------+--------------------+
#                                |                     |                    |                    |
#                     chain, bootnode 7.1.0.1    node 3 7.3.0.1      NAT a 7.11.0.1       NAT b 7.12.0.1
#                     (relay and AutoNAT)                                   |                    |
#                                                                    node 1 10.1.0.2      node 2 10.2.0.2
#
# Shows that a node behind a NAT finds out about it and is reached through the relay, that nodes behind different NATs exchange records
# and calls, that hole punching makes their connection direct where the NATs map endpoint-independently, and that the relay goes on
# serving where they map each destination to another random port. Ends with "N passed, N failed". It takes five minutes, most of them to
# outlive the time for which a relay keeps a connection, and needs root, ip and nft.
#
# The public addresses are of a range that is in use elsewhere, because neither AutoNAT nor hole punching looks at those for tests. They
# exist only in these namespaces, whose names begin with mesh and the process ID. KEEP=1
# keeps the logs; LISTEN=/ip4/0.0.0.0/tcp/31330 leaves QUIC out.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mesh=${1:-$here/../../bin/mesh}
skip() { echo "skipped: $1"; exit 0; }
[ "$(uname)" = Linux ] || skip "network namespaces are of Linux"
[ "$(id -u)" = 0 ] || skip "it needs root, to make network namespaces"
command -v ip >/dev/null || skip "it needs ip (Debian: apt-get install iproute2)"
command -v nft >/dev/null || skip "it needs nft (Debian: apt-get install nftables)"
[ -x "$mesh" ] || { echo "$mesh is no program; make it with \`make build\`" >&2; exit 2; }
mesh=$(realpath "$mesh")

p=mesh$$
dir=$(mktemp -d)
declare -A pids=()
passed=0 failed=0

stop() { # names of processes
	local name
	for name in "$@"; do kill "${pids[$name]}" 2>/dev/null || true; done
	for name in "$@"; do
		wait "${pids[$name]}" 2>/dev/null || true
		unset "pids[$name]"
	done
}
remove() { # namespaces
	local ns
	for ns in "$@"; do ip netns del "$p-$ns" 2>/dev/null || true; done
}
cleanup() {
	stop "${!pids[@]}"
	remove a b c nat-a nat-b public
	if [ -n "${KEEP:-}" ]; then echo "logs in $dir"; else rm -rf "$dir"; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM
die() {
	echo "$1" >&2
	[ -z "${2:-}" ] || tail -n 5 "$2" >&2
	exit 1
}

# --- the network ---

in_ns() { local ns=$1; shift; ip netns exec "$p-$ns" "$@"; }
namespace() {
	ip netns add "$p-$1"
	in_ns "$1" ip link set lo up
	in_ns "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
}
plug() { # namespace, its interface, its address: into the public segment
	in_ns public ip link add "to-$1" type veth peer name "$2" netns "$p-$1"
	in_ns public ip link set "to-$1" master segment up
	in_ns "$1" ip addr add "$3/8" dev "$2"
	in_ns "$1" ip link set "$2" up
}
# nat makes a router and a host behind it: letter, public address, first three bytes of the private ones, how it masquerades. Like the
# routers in homes it drops what nobody inside has asked for.
nat() {
	in_ns public ip link del "to-nat-$1" 2>/dev/null || true # the kernel takes its time when only the namespace goes
	remove "$1" "nat-$1"
	namespace "nat-$1"
	plug "nat-$1" wan "$2"
	namespace "$1"
	in_ns "nat-$1" ip link add lan type veth peer name eth0 netns "$p-$1"
	in_ns "nat-$1" ip addr add "$3.1/24" dev lan
	in_ns "nat-$1" ip link set lan up
	in_ns "$1" ip addr add "$3.2/24" dev eth0
	in_ns "$1" ip link set eth0 up
	in_ns "$1" ip route add default via "$3.1"
	in_ns "nat-$1" sysctl -qw net.ipv4.ip_forward=1
	in_ns "nat-$1" nft -f - <<-NFT
		table ip nat {
			chain out { type nat hook postrouting priority srcnat; oifname "wan" masquerade $4; }
			chain to { type filter hook input priority filter; iifname "wan" ct state != { established, related } drop; }
			chain through { type filter hook forward priority filter; iifname "wan" ct state != { established, related } drop; }
		}
	NFT
}
network() {
	namespace public
	in_ns public ip link add segment type bridge
	in_ns public ip addr add 7.1.0.1/8 dev segment
	in_ns public ip link set segment up
	namespace c
	plug c eth0 7.3.0.1
	nat a 7.11.0.1 10.1.0 ""
}
network >"$dir/network.log" 2>&1 || skip "no network namespaces with bridges and NAT here: $(tail -n 1 "$dir/network.log")"

# --- the subnet ---

start() { # name, namespace, arguments of mesh
	local name=$1 ns=$2
	shift 2
	ip netns exec "$p-$ns" "$mesh" "$@" >"$dir/$name.out" 2>>"$dir/$name.log" </dev/null &
	pids[$name]=$!
}
within() { # seconds, command: until it succeeds
	local limit=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $limit ] || return 1
		sleep 0.5
	done
}
key() { # folder, made with a peer key; prints the peer ID
	mkdir -p "$dir/$1"
	"$mesh" keygen --path "$dir/$1/peer.key" --bootstrap-path "" --client-path "" >>"$dir/setup.log" 2>&1
	"$mesh" keyview --path "$dir/$1/peer.key" | grep -oE '12D3KooW[A-Za-z0-9]+' | head -n 1
}
rpc=ws://7.1.0.1:9944
submit() { in_ns public "$mesh" "$@" --rpc "$rpc" --journal "" >>"$dir/setup.log" 2>&1 || die "mesh $* failed" "$dir/setup.log"; }

start chain public chain dev --listen 7.1.0.1:9944 --block-time 500ms --epoch-length 20
boot=$(key boot) n1=$(key n1) n2=$(key n2) n3=$(key n3) client=$(key client)
bootaddr=/ip4/7.1.0.1/tcp/31330/p2p/$boot
within 20 in_ns public "$mesh" chain info --rpc "$rpc" || die "the chain does not answer" "$dir/chain.log"
submit subnet register --dev alith --name nat --repo https://example.org/nat --bootnodes "$bootaddr" \
	--initial-coldkey baltathar --initial-coldkey charleth --initial-coldkey dorothy
i=0
for who in baltathar charleth dorothy; do
	i=$((i + 1))
	"$mesh" account new --plain --path "$dir/hot$i.json" >>"$dir/setup.log" 2>&1
	submit account transfer "$dir/hot$i.json" 1 --dev $who
	others=()
	[ $i -lt 3 ] || others=(--client-peer "$dir/client/peer.key")
	submit node register nat --dev $who --hotkey "$dir/hot$i.json" --peer "$dir/n$i/peer.key" --stake 100 "${others[@]}"
done
submit stake delegate nat 1000 --dev alith
submit subnet activate nat --dev alith

common=(--subnet-id 128001 --rpc "$rpc" --log-level "${LOG_LEVEL:-info}" --host-maddrs "${LISTEN:-/ip4/0.0.0.0/tcp/31330,/ip4/0.0.0.0/udp/31330/quic-v1}")
start boot public bootnode --data-dir "$dir/boot" "${common[@]}" --relay-service --auto-nat
start n3 c node run --data-dir "$dir/n3" --hotkey "$dir/hot3.json" "${common[@]}"
node() { # 1 or 2, where it runs; it knows nobody's address from an earlier run
	rm -f "$dir/n$1/peers.json"
	start "n$1" "$2" node run --data-dir "$dir/n$1" --hotkey "$dir/hot$1.json" "${common[@]}" --hole-punching
}
behind() { # how both NATs masquerade: nodes 1 and 2 behind them
	[ -z "${pids[n1]:-}" ] || stop n1 n2
	nat a 7.11.0.1 10.1.0 "$1"
	nat b 7.12.0.1 10.2.0 "$1"
	node 1 a
	node 2 b
}

# --- what is looked at ---

check() { # what, seconds, command: must succeed within that time
	local what=$1 limit=$2 began=$SECONDS
	shift 2
	if within "$limit" "$@"; then
		passed=$((passed + 1))
		echo "ok: $what ($((SECONDS - began)) s)"
	else
		failed=$((failed + 1))
		echo "FAILED: $what"
		"$@" 2>&1 | tail -n 10 || true
	fi
}
status() { # namespace, folder: the node's state as JSON
	local at
	at=$(cat "$dir/$2/status.addr") || return 1
	in_ns "$1" bash -c 'exec 3<>"/dev/tcp/${1/://}"; printf "GET /status HTTP/1.0\r\nHost: %s\r\n\r\n" "$1" >&3; cat <&3' - "$at"
}
says() { status "$1" "$2" | grep -q "$3"; } # namespace, folder, pattern
connections() { # namespace, folder, peer: the addresses of the connections to it
	in_ns "$1" "$mesh" dht peers --data-dir "$dir/$2" --json | tr '{' '\n' | grep "\"peer\":\"$3\"" | grep -oE '"addrs":\[[^]]*\]'
}
ping_peer() { in_ns "$1" "$mesh" dht ping "$3" --data-dir "$dir/$2" --timeout 20s; } # namespace, folder, peer
beats() { # namespace, folder, peer: the peer's sign of life, from the nodes that keep it
	in_ns "$1" "$mesh" dht get heartbeat --latest --no-cache --data-dir "$dir/$2" | grep "$3" | grep -q online
}
relayed() { connections "$@" | grep -q p2p-circuit; }
direct() { local c; c=$(connections "$@") && [[ $c == *"$4"* && $c != *p2p-circuit* ]]; } # and the address that it comes from
client_calls() { # peer: a client that has no connection to it reaches it through the relay
	in_ns public "$mesh" dht ping "$bootaddr/p2p-circuit/p2p/$1" --identity-path "$dir/client/peer.key" --subnet-id 128001 --rpc "$rpc" --timeout 20s
}
common_checks() {
	check "node 1 finds out that nobody can dial it" 60 says a n1 '"reachability":"private"'
	check "node 2 finds out that nobody can dial it" 60 says b n2 '"reachability":"private"'
	check "node 1 announces the relay" 20 says a n1 "7.1.0.1/tcp/31330/p2p/$boot/p2p-circuit"
	check "node 2 announces the relay" 20 says b n2 "7.1.0.1/tcp/31330/p2p/$boot/p2p-circuit"
	check "a client calls node 1 through the relay" 30 client_calls "$n1"
	check "node 1 calls node 2" 60 ping_peer a n1 "$n2"
	check "node 2 calls node 1" 60 ping_peer b n2 "$n1"
	check "node 1 reads what node 2 has stored" 60 beats a n1 "$n2"
	check "node 2 reads what node 1 has stored" 60 beats b n2 "$n1"
}

echo "--- endpoint-independent mapping"
behind ""
check "the bootnode can be dialled" 60 says public boot '"reachability":"public"'
common_checks
check "node 1 is connected to node 2 directly" 120 direct a n1 "$n2" 7.12.0.1
check "node 2 is connected to node 1 directly" 120 direct b n2 "$n1" 7.11.0.1
# One that starts beside nodes that are there already is asked for a hole before it can make one.
stop n2
node 2 b
check "node 2 is connected to node 1 directly after a restart" 120 direct b n2 "$n1" 7.11.0.1
for x in "a n1" "b n2" "c n3"; do
	check "${x#* } takes part in consensus" 60 says $x '"code":"\(attested\|proposed\)"'
done

echo "--- address- and port-dependent mapping, random ports"
behind "random,fully-random"
common_checks
check "node 1 is connected to node 2 through the relay" 60 relayed a n1 "$n2"
calls=0 lost=0 until=$((SECONDS + 150)) # a relay keeps a connection for two minutes
while [ $SECONDS -lt $until ]; do
	calls=$((calls + 1))
	ping_peer a n1 "$n2" >>"$dir/pings.log" 2>&1 || lost=$((lost + 1))
	sleep 1
done
echo "$calls calls in 150 s, $lost without an answer"
few() { [ $((20 * lost)) -le $calls ]; }
check "calls go on when the relay ends a connection" 1 few
check "node 1 is still connected to node 2 through the relay" 30 relayed a n1 "$n2"
check "node 2 reads what node 1 has stored, still" 60 beats b n2 "$n1"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
