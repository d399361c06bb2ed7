#!/bin/sh
# The container's health check, through nginx to the app like a client's request: READY_PATH answers 200. If it is unset
# or "none", `/` answers below 500.
set -eu

case "${READY_PATH:-}" in
    '' | none) path=/ most=499 ;;
    *) path=$READY_PATH most=200 ;;
esac
root='' host=${READY_HOST:-localhost} preface=''
# nginx's own settings, written by `make` (container.sh): the host to request, the prefix, the PROXY protocol.
while IFS='=' read -r name value; do
    case "$name" in
        ROOT_PATH) root=$value ;;
        READY_HOST) host=${value:-$host} ;;
        PROXY_PROTOCOL) preface=${value:+--haproxy-protocol} ;;
    esac
done 2>/dev/null <"${NGINX_SETTINGS:-/dev/null}" || :
status=$(curl --silent --max-time 3 --output /dev/null --write-out '%{http_code}' \
    ${preface:+"$preface"} --header "Host: $host" "http://127.0.0.1:$HTTP_LISTEN$root$path") || :
if [ "$status" -lt 200 ] || [ "$status" -gt "$most" ]; then
    echo "$root$path answers $status"
    exit 1
fi
