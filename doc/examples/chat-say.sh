#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Say one message to chatd, and print the reply: chat-say.sh SOCKET TEXT
# socat ends when chatd has answered and closes; -t limits that wait (seconds).
text=$(printf '%s' "$2" | tr '\n\t' '  ' | sed 's/[\\"]/\\&/g')
printf '{"op":"say","id":1,"text":"%s"}\n' "$text" |
    socat -t 600 - "UNIX-CONNECT:$1" |
    sed -n -e '/"event":"text"/s/.*"text":"\(.*\)","id":1}$/\1/p' \
        -e '/"event":"error"/s/.*"message":"\(.*\)","id":1.*/error: \1/p' |
    tr -d '\n' | sed -e 's/\\n/\n/g' -e 's/\\\(["\\/]\)/\1/g' -e '$a\'
