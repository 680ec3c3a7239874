#!/bin/sh
# Tells that a user has signed in, then asks for a greeting and prints it.
#
#   sh greeting.sh u1 Ada
set -eu
json="Content-Type: application/json"
nats pub --quiet --jetstream --no-templates -H "$json" "ai.chat.user.$1.login" "{\"nickname\": \"$2\"}"

nats sub --raw --count 1 "ai.chat.user.$1.greeting.response" &
answer=$!
sleep 2 # it listens by now
nats pub --quiet --jetstream --no-templates -H "$json" "ai.chat.user.$1.greeting.request" \
  "{\"request_id\": \"cli-$(date +%s)-$$\", \"nickname\": \"$2\"}"
wait "$answer"
