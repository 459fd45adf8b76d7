#!/bin/sh
# What a query costs us and other servers of the CPU, with public tools only. docs/performance.md says how to read it.
#
#   benches/compare.sh [ROUNDS [SECONDS]]     11 rounds of 2 seconds, if not told otherwise
#
# Servers run side by side on CPU 0, each with one worker; dnsperf asks one after the other from CPU 1, at the same rate. The same zone of 1,000
# names, 21 names of 12 nodes by GeoLite2 City. Needs dnsperf and gdnsd; Knot (and its geoip module), NSD and PowerDNS (and its geoip
# backend) take part where they are installed. As root it makes a network of its own, so that nobody shares its ports.
# NEARMOST: the program, else target/release/nearmost. RATE: questions a second, 100000.
set -eu

# What a session is started with, see below.
if [ "${1:-}" = --run ]; then
    case $2 in
        nearmost) exec "$NEARMOST" serve -c nearmost/nearmost.toml ;;
        gdnsd) exec gdnsd -c gdnsd start ;;
        knotd) exec knotd -c knotd/knot.conf ;;
        nsd) exec nsd -d -c nsd/nsd.conf ;;
        pdns_server) exec pdns_server --config-dir=pdns_server ;;
    esac
fi

rounds=${1:-11} seconds=${2:-2} rate=${RATE:-100000}
here=$(cd "$(dirname "$0")/.." && pwd) self=$(realpath "$0")
NEARMOST=${NEARMOST:-$here/target/release/nearmost}
export PATH="$PATH:/usr/sbin" NEARMOST
[ -x "$NEARMOST" ] || { echo "no $NEARMOST: cargo build --release, or set NEARMOST" >&2; exit 1; }
: "${CITY:=$("$here/geoip/make/fetch-city")}"
export CITY
if [ "$(id -u)" = 0 ] && [ -z "${OWN_NETWORK:-}" ]; then
    export OWN_NETWORK=1
    exec unshare -n sh -c 'ip link set lo up && exec "$@"' compare "$self" "$@"
fi

nodes='fra 50.11 8.68 EU
lon 51.51 -0.13 -
iad 39.04 -77.49 NA
sjc 37.34 -121.89 -
gru -23.55 -46.63 SA
jnb -26.20 28.05 AF
sin 1.35 103.82 AS
nrt 35.68 139.69 -
hkg 22.32 114.17 -
syd -33.87 151.21 OC
bom 19.08 72.88 -
dxb 25.20 55.27 -'
geo_names="dl $(seq -f 'dl%02g' 1 20)"

# each TEXT: the text for each node, with @name, @lat, @lon, @n (its number) and @x (the same in hexadecimal) replaced
each() {
    echo "$nodes" | {
        n=0
        while read -r name lat lon _; do
            n=$((n + 1))
            echo "$1" | sed "s/@name/$name/g; s/@lat/$lat/g; s/@lon/$lon/g; s/@n/$n/g; s/@x/$(printf %x $n)/g"
        done
    }
}

# continents TEXT: the text for each node that stands for a continent, with @code, @n and @x replaced
continents() {
    echo "$nodes" | {
        n=0
        while read -r _ _ _ code; do
            n=$((n + 1))
            [ "$code" = - ] || echo "$1" | sed "s/@code/$code/g; s/@n/$n/g; s/@x/$(printf %x $n)/g"
        done
    }
}

zone() {
    printf '%s\n' '$ORIGIN mirror.example.' '$TTL 300' '@ SOA ns1 hostmaster 1 3600 600 86400 60' '@ NS ns1' 'ns1 A 127.0.0.1'
    seq 0 999 | awk '{ printf "h%d A 198.18.%d.%d\nh%d AAAA 2001:db8:5::%x\n", $1, $1 / 250, $1 % 250, $1, $1 }'
}

# geo_zone RECORD: the zone, and this record at each of the names with several nodes
geo_zone() {
    zone
    for name in $geo_names; do echo "$name $1"; done
}

nearmost_files() {
    mkdir -p nearmost/zones
    geo_zone '30/30 POOL dl' >nearmost/zones/mirror.example.zone
    cat >nearmost/nearmost.toml <<CONFIG
[server]
listen = ["127.0.0.1:$1"]
workers = 1
[geo]
databases = ["$CITY"]
[pool.dl]
near = "0km"
$(each '[node.@name]
at = [@lat, @lon]
ip = ["192.0.2.@n", "2001:db8::@x"]')
CONFIG
}

gdnsd_files() {
    mkdir -p gdnsd/zones gdnsd/run gdnsd/state
    geo_zone '30 DYNA geoip!dl' >gdnsd/zones/mirror.example
    cat >gdnsd/config <<CONFIG
options => {
  listen => ["127.0.0.1:$1"], udp_threads => 1, tcp_threads => 1, udp_rcvbuf => 1048576, udp_sndbuf => 1048576
  run_dir => $PWD/gdnsd/run, state_dir => $PWD/gdnsd/state
}
plugins => { geoip => {
  maps => { m => {
    geoip2_db => $CITY
    datacenters => [ $(each '@name' | paste -sd,) ]
    auto_dc_coords => { $(each '@name => [ @lat, @lon ]' | paste -sd' ') }
    auto_dc_limit => 3
  } }
  resources => { dl => { map => m, service_types => up, dcmap => {
    $(each '@name => { addrs_v4 => 192.0.2.@n, addrs_v6 => 2001:db8::@x }')
  } } }
} }
CONFIG
}

# Knot and PowerDNS know no distance: a node for each continent.
knotd_files() {
    mkdir -p knotd/db
    geo_zone '30 A 192.0.2.1' >knotd/mirror.example.zone
    for name in $geo_names; do
        echo "$name.mirror.example:"
        continents '  - geo: "@code"
    A: 192.0.2.@n
    AAAA: 2001:db8::@x'
    done >knotd/geo.yml
    cat >knotd/knot.conf <<CONFIG
server:
    rundir: "$PWD/knotd"
    listen: [ 127.0.0.1@$1 ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    edns-client-subnet: on
database:
    storage: "$PWD/knotd/db"
mod-geoip:
  - id: g
    config-file: $PWD/knotd/geo.yml
    ttl: 30
    mode: geodb
    geodb-file: $CITY
    geodb-key: [ continent/code ]
zone:
  - domain: mirror.example
    storage: $PWD/knotd
    file: mirror.example.zone
    module: mod-geoip/g
    zonefile-sync: -1
    journal-content: none
CONFIG
}

# Static names only.
nsd_files() {
    mkdir -p nsd
    geo_zone '30 A 192.0.2.1' >nsd/mirror.example.zone
    cat >nsd/nsd.conf <<CONFIG
server:
  server-count: 1
  ip-address: 127.0.0.1@$1
  username: ""
  chroot: ""
  zonesdir: "$PWD/nsd"
  database: ""
  pidfile: "$PWD/nsd/pid"
  xfrdfile: "$PWD/nsd/xfrd"
  zonelistfile: "$PWD/nsd/list"
  xfrdir: "$PWD/nsd"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: mirror.example
  zonefile: mirror.example.zone
CONFIG
}

pdns_server_files() {
    mkdir -p pdns_server
    {
        printf 'domains:\n- domain: mirror.example\n  ttl: 300\n  records:\n    mirror.example:\n'
        printf '      - soa: "ns1.mirror.example hostmaster.mirror.example 1 3600 600 86400 60"\n      - ns: ns1.mirror.example\n'
        seq 0 999 | awk '{ printf "    h%d.mirror.example:\n      - a: 198.18.%d.%d\n      - aaaa: \"2001:db8:5::%x\"\n", $1, $1 / 250, $1 % 250, $1 }'
        continents '    @code.node.mirror.example:
      - a: 192.0.2.@n
      - aaaa: "2001:db8::@x"' | tr A-Z a-z
        printf '    unknown.node.mirror.example:\n      - a: 192.0.2.1\n  services:\n'
        for name in $geo_names; do echo "    $name.mirror.example: '%mp.node.mirror.example'"; done
        printf "mapping_lookup_formats: ['%%cn']\ncustom_mapping:\n"
        continents '  "@code": @code' | tr A-Z a-z
    } >pdns_server/geo.yml
    cat >pdns_server/pdns.conf <<CONFIG
launch=geoip
local-address=127.0.0.1:$1
config-dir=$PWD/pdns_server
socket-dir=$PWD/pdns_server
daemon=no
guardian=no
receiver-threads=1
distributor-threads=1
edns-subnet-processing=yes
geoip-database-files=mmdb:$CITY
geoip-zones-file=$PWD/pdns_server/geo.yml
loglevel=3
CONFIG
}

# cpu SESSION: microseconds of CPU that its threads have had
cpu() {
    for pid in $(ps -o pid= -s "$1"); do cat "/proc/$pid"/task/*/schedstat; done 2>/dev/null |
        awk '{ sum += $1 } END { printf "%d\n", sum / 1000 }'
}

# perf SERVER WORKLOAD [EDNS option]: adds a line "server workload round microseconds-per-query lost wrong" to results
perf() {
    read -r port session <"$1/session"
    before=$(cpu "$session")
    said=$(taskset -c 1 dnsperf -s 127.0.0.1 -p "$port" -d "$2.questions" -e -q 128 -c 4 -l "$seconds" -Q "$rate" ${3:+-E "$3"} 2>&1)
    used=$(($(cpu "$session") - before))
    echo "$said" | awk -v head="$1 $2 $round" -v used="$used" '
        /Queries completed/ { done = $3 }
        /Queries lost/ { lost = $3 }
        /Response codes/ { for (i = 3; i < NF; i++) if ($i == "SERVFAIL" || $i == "REFUSED") wrong += $(i + 1) }
        END { if (done) printf "%s %.3f %d %d %d\n", head, used / done, done, lost, wrong }' >>results
}

work=$(mktemp -d "${TMPDIR:-/tmp}/compare.XXXXXX")
sessions=
finish() {
    for session in $sessions; do
        for pid in $(ps -o pid= -s "$session"); do kill "$pid" 2>/dev/null || true; done
    done
    cd / && rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
chmod 755 .

seq 0 4999 | awk '{ print "h" $1 * 7 % 1000 ".mirror.example", $1 % 10 < 7 ? "A" : "AAAA" } $1 % 20 == 0 { print "nx" $1 ".mirror.example A" }' >static.questions
for name in $geo_names; do echo "$name.mirror.example A"; done >geo.questions
# dnsperf sends the same option with all questions of a run, so each round has another client, of another part of the world.
clients='5102a8 84b600 80200a c8a002 c41900 75c000 8511aa cb02da 2ae000 5e3808 3e9000 1a0000'

port=15300 servers=
for server in nearmost gdnsd knotd nsd pdns_server; do
    [ $server = nearmost ] || command -v $server >/dev/null || { echo "not here: $server"; continue; }
    port=$((port + 1))
    ${server}_files $port
    # A session of its own, so that all of its processes are found.
    setsid taskset -c 0 "$self" --run $server >$server/log 2>&1 &
    echo "$port $!" >$server/session
    sessions="$sessions $!"
    ready=
    for _ in $(seq 100); do
        dig +time=1 +tries=1 -p $port @127.0.0.1 h1.mirror.example A +short 2>/dev/null | grep -q 198.18.0.1 && ready=yes && break
        sleep 0.1
    done
    [ -n "$ready" ] && servers="$servers $server" || { echo "does not answer: $server"; cat $server/log; }
done
for server in $servers; do
    [ $server = nsd ] || echo "$server gives Germany, Japan and Brazil: $(for net in 84.128.0.0 133.11.0.0 200.160.2.0; do
        dig +time=1 +tries=1 -p "$(cut -d' ' -f1 $server/session)" @127.0.0.1 dl.mirror.example A +short +subnet=$net/24
    done | paste -sd' ')"
done

for round in $(seq "$rounds"); do
    client=$(echo $clients | cut -d' ' -f$(((round - 1) % 12 + 1)))
    for server in $servers; do
        perf $server static
        [ $server = nsd ] || perf $server geo "8:00011800$client"
    done
done

# Medians, and the ratio to gdnsd's of the same round.
for workload in static geo; do
    for server in $servers; do
        awk -v w=$workload -v s=$server '$2 == w && $1 == "gdnsd" { peer[$3] = $4 } $2 == w && $1 == s { own[$3] = $4; asked += $5; lost += $6; wrong += $7 }
            END { for (r in own) print own[r], peer[r] ? own[r] / peer[r] : 0, asked, lost, wrong }' results >rows
        [ -s rows ] || continue
        middle=$((($(wc -l <rows) + 1) / 2))
        median() { sort -n -k"$1,$1" rows | awk -v n=$middle -v k="$1" 'NR == n { print $k }'; }
        rss=0
        for pid in $(ps -o pid= -s "$(cut -d' ' -f2 $server/session)"); do
            rss=$((rss + $(awk '/VmRSS/ { print $2 }' "/proc/$pid/status")))
        done
        printf '%-7s %-12s %6.2f us/query, %5.2f of gdnsd; %s\n' $workload $server "$(median 1)" "$(median 2)" \
            "$(awk 'NR == 1 { printf "%d asked, %d lost, %d SERVFAIL or REFUSED", $3, $4, $5 }' rows), $((rss / 1024)) MiB resident"
    done
done
