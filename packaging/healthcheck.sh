#!/bin/sh
# The health check of the image: 0 when the REST API says that the node is up, 1 when it says anything else or nothing.
#
# The API is at the port that the flag's variable says, or at 8645. Where nothing listens there, the API is off or
# elsewhere, and the check says 0: a node that has ended ends its container anyway.
port="${WAKUNODE2_REST_PORT:-8645}"
listening="$(netstat -ltn 2>/dev/null)"
if ! echo "$listening" | grep -Eq "(0\.0\.0\.0|127\.0\.0\.1|::):$port "; then
    echo "nothing listens on port $port of this host: not checked"
    exit 0
fi
report="$(wget -q -T 5 -O - "http://127.0.0.1:$port/health")" || exit 1
echo "$report"
case "$report" in
    *'"nodeHealth":"READY"'*) exit 0 ;;
    *) exit 1 ;;
esac
