# Stands in for `axis serve --json --data DIR [--config F]` where the handling of the child is
# tested and not the daemon. Each start on the same folder gives another "port".
set -eu
data=$4 config=${6:-/dev/null}
mkdir -p "$data"
case ${MODE:-serve} in
refuse) echo "unknown key: colour" >&2; exit 2 ;;
babble) echo "hello there" ;;
silent) echo "thinking" >&2 ;;
*)
    echo x >>"$data/starts"
    port=$(wc -l <"$data/starts" | tr -d ' ')
    if [ "${MODE:-serve}" = deaf ]; then trap '' TERM; else trap 'exit 0' TERM; fi
    echo "${SAY:-} $(cat "$config") listen $AXIS_GRPC_LISTEN" >&2
    echo "{\"ready\":true,\"grpc\":\"127.0.0.1:$port\",\"admin\":\"$data/admin.sock\"}"
    ;;
esac
# Waits for ever, without a child that would keep the pipes open after `kill -9`.
[ -p "$data/never" ] || mkfifo "$data/never"
exec 3<>"$data/never"
while :; do read -r _ <&3 || :; done
