#!/bin/sh
# Runs nginx with the filled-in configuration in the image: `container.sh nginx …`. Sets the variables that the image's
# entrypoint fills in and that the container's environment can't have. logged.sh calls it again, with `-t`, when
# settings or files have changed.
set -eu

# nginx's own settings, written by `make up` and `make deploy`, which take precedence: numbers, and the paths of
# [tool.slipway] as alternatives of a regular expression with special characters escaped (slipway/ops/nginx_text.py).
settings=${NGINX_SETTINGS:-}
if [ ! -r "$settings" ]; then settings=/dev/null; fi
while IFS='=' read -r name value; do
    case "$name=$value" in
        MAX_BODY_BYTES=*[!0-9]* | PROXY_READ_TIMEOUT=*[!0-9]* | MAX_CONNECTIONS=*[!0-9]* | LOG_QUERY=*[!01]*) ;;
        MAX_BODY_BYTES=?* | PROXY_READ_TIMEOUT=?* | MAX_CONNECTIONS=* | LOG_QUERY=?*) export "$name=$value" ;;
        PROXY_PROTOCOL= | PROXY_PROTOCOL=proxy_protocol) export "$name=$value" ;;
        HEALTH_PATHS=*[!A-Za-z0-9/_\\\|-]* | PRIVATE_PATHS=*[!A-Za-z0-9/_\\\|-]*) ;;
        HEALTH_PATHS=* | PRIVATE_PATHS=*) export "$name=$value" ;;
    esac
done <"$settings"
# Private paths must not become public because the file is missing.
export HEALTH_PATHS="${HEALTH_PATHS:-}"
export PRIVATE_PATHS="${PRIVATE_PATHS?is not set: the file of NGINX_SETTINGS, which make up writes, says which paths are private}"

# Files of directives that `make` writes beside these settings; if missing, those of this folder with the defaults.
for name in https site edge; do
    file=$(dirname "$settings")/$name.conf
    case "$name:${HTTPS:-}" in https:off | site:off) file=$NGINX_DIR/$name.conf ;; esac
    if [ ! -r "$file" ]; then file=$NGINX_DIR/$name.conf; fi
    cp "$file" "$CONF_DIR/$name.conf"
done

# Optional modules, the same as in slipway/ops/modules.py.
modules=$(nginx -V 2>&1 | sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p')
: >"$CONF_DIR/modules.conf"
: >"$CONF_DIR/features.conf"
while read -r name directive; do
    if [ -r "$modules/ngx_http_${name}_module.so" ]; then
        echo "load_module $modules/ngx_http_${name}_module.so;" >>"$CONF_DIR/modules.conf"
        echo "$directive" >>"$CONF_DIR/features.conf"
    fi
done <<EOF
headers_more_filter more_clear_headers Server;
brotli_static brotli_static on;
zstd_static zstd_static on;
EOF
# unnamed.js replaces the server's name in `Server`; needs njs of 2024 or newer.
if [ -r "$modules/ngx_http_js_module.so" ] && ! grep -q headers_more "$CONF_DIR/modules.conf"; then
    echo "load_module $modules/ngx_http_js_module.so;" >>"$CONF_DIR/modules.conf"
    echo "js_path $NGINX_DIR; js_import unnamed from unnamed.js; js_set \$unnamed unnamed.answer;" >>"$CONF_DIR/features.conf"
else
    echo "map '' \$unnamed { default ''; }" >>"$CONF_DIR/features.conf"
fi
export PROXY_PROTOCOL="${PROXY_PROTOCOL:-}"

# One worker per CPU of the quota, which `auto` ignores, and at most 8: each takes 8 MiB for 16,384 connections, and the
# memory limit is for all of them.
read -r quota period <<EOF
$(cat /sys/fs/cgroup/cpu.max 2>/dev/null ||
    cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null | tr '\n' ' ')
EOF
workers=$(nproc)
case "$quota" in
    '' | *[!0-9]*) ;;
    *) if [ $((quota / period)) -lt "$workers" ]; then workers=$((quota / period)); fi ;;
esac
if [ "$workers" -gt 8 ]; then workers=8; fi
if [ "$workers" -lt 1 ]; then workers=1; fi
export WORKER_PROCESSES="$workers"

# A connection is an open file, and some engines start containers with a soft limit of 1,024. So the hard limit is used:
# two thirds for connections, one third for request bodies and logs.
# shellcheck disable=SC3045  # all shells of the images have it
files=$(ulimit -H -n)
case "$files" in *[!0-9]*) files=1048576 ;; esac
# shellcheck disable=SC3045
ulimit -n "$files" 2>/dev/null || files=$(ulimit -S -n)
connections=$((files * 2 / 3))
if [ "$connections" -gt 16384 ]; then
    connections=16384
else
    case " $* " in
        *" -t "*) ;;
        *) echo "nginx: [warn] the limit of open files is $files: at most $connections connections in each of $workers workers" >&2 ;;
    esac
fi
export WORKER_CONNECTIONS="$connections"

# A regular expression of the numbers of connections that are too many, as in slipway/ops/edge.py: without
# MAX_CONNECTIONS about half of all workers' connections, since a proxied client takes two.
most=$((connections / 2 - 384))
if [ "$most" -lt $((connections / 4)) ]; then most=$((connections / 4)); fi
most=$((most * workers))
if [ "${MAX_CONNECTIONS:-0}" -gt 0 ]; then most=$MAX_CONNECTIONS; fi
CROWDED=$(awk -v most="$most" 'BEGIN {
    digits = length(most)
    printf "[1-9][0-9]{%d,}", digits
    for (place = 1; place <= digits; place++) {
        digit = substr(most, place, 1)
        if (digit == 9) continue
        printf "|%s[%d-9]", substr(most, 1, place - 1), digit + 1
        for (more = place; more < digits; more++) printf "[0-9]"
    }
}')
export CROWDED

# The number of concurrent request bodies, from the size of their file system: slipway/ops/bodies.py computes the same.
room=$(df -Pk "$WORK_DIR/client_body" 2>/dev/null | awk 'NR == 2 { print $2 }')
usable=$((${room:-65536} * 960))
count() {
    found=$(($1 / $2))
    if [ "$found" -gt 65535 ]; then found=65535; fi
    if [ "$found" -lt 1 ]; then found=1; fi
    echo "$found"
}
MEDIUM_BODIES=$(count $((usable / 4)) 100000)
MEDIUM_BODIES_OF_CLIENT=$(count $((MEDIUM_BODIES * 2)) 3)
LARGE_BODIES=$(count $((usable * 3 / 4)) "$MAX_BODY_BYTES")
LARGE_BODIES_OF_CLIENT=$(count $((LARGE_BODIES * 2)) 3)
export MEDIUM_BODIES MEDIUM_BODIES_OF_CLIENT LARGE_BODIES LARGE_BODIES_OF_CLIENT

exec /docker-entrypoint.sh "$@"
