#!/bin/sh
# The container's health check, through nginx to the app as a client has it: READY_PATH answers 200. Where it is not set, or
# "none", an answer below 500 will do.
set -eu

case "${READY_PATH:-}" in
    '' | none) path=/ most=499 ;;
    *) path=$READY_PATH most=200 ;;
esac
status=$(curl --silent --max-time 3 --output /dev/null --write-out '%{http_code}' \
    --header "Host: ${READY_HOST:-localhost}" "http://127.0.0.1:$HTTP_LISTEN$path") || :
if [ "$status" -lt 200 ] || [ "$status" -gt "$most" ]; then
    echo "$path answers $status"
    exit 1
fi
