#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Say one message to chatd, and print the reply: chat-say.sh SOCKET TEXT
# The escapes of JSON stay as they are: \n for a newline.  socat ends when chatd
# has answered and closes; -t limits that wait, in seconds.
text=$(printf '%s' "$2" | tr '\n\t' '  ' | sed 's/[\\"]/\\&/g')
printf '{"op":"say","id":1,"text":"%s"}\n' "$text" |
    socat -t 600 - "UNIX-CONNECT:$1" |
    sed -n -e '/^{"event":"text"/s/.*"text":"\(.*\)","id":1}$/\1/p' \
        -e '/^{"event":"error"/s/.*"message":"\([^"]*\)".*/error: \1/p' |
    tr -d '\n'
echo
