#!/bin/sh
# Asks a question on an event subject in bare protobuf and prints the answer. Needs buf for the conversion; protoc with
# --descriptor_set_in=proto/frozen.binpb and --encode=messages.v1.ChatRequest does the same.
#
#   sh chat-event-protobuf.sh "What is a claim check?" [USER]
set -eu
contract=$(dirname "$0")/../../proto/frozen.binpb
id=cli-$(date +%s)-$$
subject=${2:+ai.chat.user.$2.message}

to_json="buf convert '$contract' --type messages.v1.ChatResponse --to -#format=json"
nats sub --raw --translate "$to_json" --count 1 "ai.chat.response.$id" &
final=$!
sleep 2 # it listens by now

printf '{"request_id": "%s", "query": "%s"}' "$id" "$1" |
  buf convert "$contract" --type messages.v1.ChatRequest --from -#format=json |
  nats pub --quiet --jetstream --no-templates --force-stdin "${subject:-ai.chat.request}"
wait "$final"
