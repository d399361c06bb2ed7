#!/bin/sh
# Runs nginx so that its log is JSON and never blocks it: the counterpart of slipway/ops/logged.py with the tools of the
# image. The command's output goes into one pipe, whose write end never blocks; awk passes lines of the access log on
# and converts plain ones to JSON objects. If the output is not read, awk waits, the pipe fills, and nginx drops records
# without counting them instead of waiting. The shell stays as process 1, whose end would also end awk and lose the last
# lines: it passes signals on to nginx and ends with nginx's exit code.
#
# nginx reads its files once. WATCHED has patterns of files; when their content changes and the command with `-t` finds
# no error, nginx reloads them without losing a request.
set -eu
export LC_ALL=C

# Whether nginx handles SIGHUP, the lowest bit of the mask; until then SIGHUP would end it.
takes_signals() {
    grep -q '^SigCgt:.*[13579bdf]$' "/proc/$nginx/status" 2>/dev/null
}

# Passes a signal to nginx. One that ends nginx is kept until it runs; others are dropped until nginx handles signals.
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
# -W interactive: mawk passes each line on at once.
awk -W interactive -v zone="$(date +%:z)" '
    /^[{].*[}]$/ { print; next }
    {
        line = substr($0, 1, 1900)    # so that the escaped line is below PIPE_BUF
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
# Sets O_NONBLOCK on the pipe for all processes that inherit it and, if perl is there, its size to 1 MiB (F_SETPIPE_SZ
# is 1031): a burst fills the default 64 KiB while awk waits for the CPU.
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

# nginx can't bind a unix socket that a killed nginx has left.
if [ "${STATUS_SOCKET:-}" ]; then rm -f -- "$STATUS_SOCKET"; fi
seen=$(content)
# SCHED_BATCH: otherwise nginx, woken for each request, would preempt a worker (slipway/ops/logged.py).
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

# A signal ends `wait` early with a status that is not nginx's; the status of an ended process is available only once.
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
