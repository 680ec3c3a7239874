"""Asks a question by request-reply and prints the whole answer.

    python complete.py "What is a claim check?"
"""

import asyncio
import os
import sys

import nats
from contract import message

ChatRequest, ChatResponse = map(message, ("ChatRequest", "ChatResponse"))


async def main(question):
    nc = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    body = ChatRequest(query=question).SerializeToString()
    reply = await nc.request("messages.v1.ChatService.Complete", body, timeout=120)
    data = reply.data
    if name := (reply.headers or {}).get("Handler-Claim-Check"):  # too large for a message
        store = await nc.jetstream().object_store("handler_payloads")
        data = (await store.get(name)).data
    await nc.close()

    answer = ChatResponse.FromString(data)
    if answer.HasField("error"):
        sys.exit(f"{answer.error.type}: {answer.error.message}")
    print(answer.response)
    if answer.audio:
        print(f"({len(answer.audio)} bytes of speech)")


asyncio.run(main(*sys.argv[1:]))
