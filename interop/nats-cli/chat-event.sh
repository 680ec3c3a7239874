#!/bin/sh
# Asks a question on an event subject in JSON and prints the answer as it is written, then as a whole.
#
#   sh chat-event.sh "What is a claim check?" [USER]
set -eu
id=cli-$(date +%s)-$$
subject=${2:+ai.chat.user.$2.message}

nats sub --raw "ai.chat.response.stream.$id" &
frames=$!
nats sub --raw --count 1 "ai.chat.response.$id" &
final=$!
sleep 2 # both listen by now

nats pub --quiet --jetstream --no-templates -H "Content-Type: application/json" "${subject:-ai.chat.request}" \
  "{\"request_id\": \"$id\", \"query\": \"$1\", \"enable_streaming\": true}"
wait "$final"
sleep 1
kill "$frames"
