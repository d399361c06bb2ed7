#!/bin/sh
# Runs nginx so that its log is JSON, and so that no log can block it: the image's counterpart of slipway/ops/logged.py, with
# what the image has. All that the command writes goes into one pipe, whose write end never blocks; awk passes the lines
# of the access log on and makes plain ones JSON objects. If the output is not read, awk waits, the pipe fills and nginx drops
# records uncounted; it does not wait. A shell stays in front, since the end of process 1 would take awk and the last lines
# with it: signals go to nginx, the exit code is nginx's.
#
# nginx reads its files once. WATCHED names files by patterns; when their content has changed, nginx reads them anew, if the
# command with `-t` finds nothing wrong, and loses nothing.
set -eu
export LC_ALL=C

# Before its handlers are there, SIGHUP would end nginx: its bit is the lowest of the mask.
takes_signals() {
    grep -q '^SigCgt:.*[13579bdf]$' "/proc/$nginx/status" 2>/dev/null
}

# To nginx. What should end it is kept until it runs; all else would end it, too, before it has handlers, and means nothing then.
nginx=
ending=
# shellcheck disable=SC2329  # traps call it
pass_on() {
    interrupted=1
    case $1 in
        INT | QUIT | TERM) if [ -z "$nginx" ]; then ending=$1; fi ;;
        *) if ! takes_signals; then return; fi ;;
    esac
    if [ "$nginx" ]; then kill -s "$1" "$nginx" 2>/dev/null || :; fi
}
for name in HUP INT QUIT TERM USR1 USR2 WINCH; do
    # shellcheck disable=SC2064  # the name is known now
    trap "pass_on $name" "$name"
done

pipe=$(mktemp -u "${LOG_DIR:-/tmp/nginx}/log.XXXXXX")
mkfifo -m 600 "$pipe"
# mawk's option: lines are passed on as they come.
awk -W interactive -v zone="$(date +%:z)" '
    /^[{].*[}]$/ { print; next }
    {
        line = substr($0, 1, 1900)    # escaped it must stay below PIPE_BUF
        level = "INFO"
        pid = "null"
        time = strftime("%Y-%m-%dT%H:%M:%S")
        if (match(line, /^[0-9]+\/[0-9]+\/[0-9]+ [0-9:]+ \[[a-z]+\] [0-9]+#[0-9]+: /) || match(line, /^nginx: \[[a-z]+\] /)) {
            head = substr(line, 1, RLENGTH)
            line = substr(line, RLENGTH + 1)
            if (head ~ /^[0-9]/) {
                time = substr(head, 1, 10) "T" substr(head, 12, 8)
                gsub("/", "-", time)
                pid = head
                sub(/^.*\] /, "", pid)
                sub(/#.*$/, "", pid)
            }
            if (head ~ /\[debug\]/) level = "DEBUG"
            if (head ~ /\[warn\]/) level = "WARNING"
            if (head ~ /\[error\]/) level = "ERROR"
            if (head ~ /\[(crit|alert|emerg)\]/) level = "CRITICAL"
        }
        at = index(line, ", request: \"")    # its query may be secret
        rest = substr(line, at)
        mark = index(rest, "?")
        if (at && mark) {
            line = substr(line, 1, at - 1) substr(rest, 1, mark - 1) "\""
            rest = substr(rest, mark)
            if (match(rest, /, upstream: "[^?"]*/)) line = line substr(rest, RSTART, RLENGTH) "\""
        }
        gsub(/[^ -~]/, "?", line)
        gsub(/["\\]/, "\\\\&", line)
        printf "{\"time\": \"%s%s\", \"level\": \"%s\", \"logger\": \"nginx\", \"pid\": %s, \"message\": \"%s\"}\n", time, zone, level, pid, line
    }' <"$pipe" &
relay=$!
exec 3>"$pipe"
rm "$pipe"
# Sets O_NONBLOCK on the pipe itself, for all processes that inherit it; and where there is perl, its size to 1 MiB instead
# of the 64 KiB that a burst fills while awk waits for the CPU (F_SETPIPE_SZ is 1031).
dd count=0 oflag=nonblock >&3 2>/dev/null </dev/null
perl -e 'fcntl(STDOUT, 1031, 1 << 20)' >&3 2>/dev/null || :

content() {
    # shellcheck disable=SC2086  # patterns
    cat -- ${WATCHED:-} 2>/dev/null </dev/null | cksum
}

watch() {
    while sleep 1 >/dev/null 2>&1; do
        now=$(content)
        if [ "$now" != "$seen" ] && takes_signals; then
            seen=$now
            if "$@" -t -q; then kill -s HUP "$nginx"; fi
        fi
    done
}

# nginx binds no unix socket that a killed one has left.
if [ "${STATUS_SOCKET:-}" ]; then rm -f -- "$STATUS_SOCKET"; fi
seen=$(content)
# Woken for each request it would take the processor from a worker: slipway/ops/logged.py has the reason.
if chrt --batch 0 true 2>/dev/null; then set -- chrt --batch 0 "$@"; fi
if [ "$ending" ]; then exit 0; fi
"$@" >&3 2>&3 3>&- &
nginx=$!
if [ "$ending" ]; then kill -s "$ending" "$nginx"; fi
watcher=
if [ "${WATCHED:-}" ]; then
    watch "$@" >&3 2>&3 3>&- &
    watcher=$!
fi
exec 3>&-

# A signal ends `wait` early, and then its status is not nginx's; of a process that is gone it knows the status once.
code=127
interrupted=1
while [ "$interrupted" ]; do
    interrupted=
    status=0
    wait "$nginx" || status=$?
    if [ "$status" -eq 127 ]; then break; fi
    code=$status
done
if [ "$watcher" ]; then kill "$watcher" 2>/dev/null || :; fi
while kill -0 "$relay" 2>/dev/null; do wait "$relay" || :; done
exit "$code"
