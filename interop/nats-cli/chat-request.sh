#!/bin/sh
# Asks a question by request-reply in JSON and prints the answer as it is written. An empty message ends it; the command line, which does
# not know that, waits for more for the time of --reply-timeout.
#
#   sh chat-request.sh "What is a claim check?"
set -eu
nats request --raw --no-templates --replies 100000 --reply-timeout 3s --timeout 60s \
  -H "Content-Type: application/json" -H "Handler-Deadline-Ms: 60000" \
  messages.v1.ChatService.Chat "{\"query\": \"$1\"}"
