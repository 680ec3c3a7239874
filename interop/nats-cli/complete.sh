#!/bin/sh
# Asks a question by request-reply in JSON and prints the whole answer.
#
#   sh complete.sh "What is a claim check?"
set -eu
nats request --raw --no-templates --timeout 120s -H "Content-Type: application/json" \
  messages.v1.ChatService.Complete "{\"query\": \"$1\"}"
