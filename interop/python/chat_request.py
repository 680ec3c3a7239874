"""Asks a question by request-reply and prints the answer as it is written. A replica must be running.

    python chat_request.py "What is a claim check?"
"""

import asyncio
import os
import sys

import nats
from contract import message

ChatRequest, ChatStreamChunk = map(message, ("ChatRequest", "ChatStreamChunk"))


async def main(question):
    nc = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    inbox = nc.new_inbox()
    replies = await nc.subscribe(inbox)
    await nc.publish(
        "messages.v1.ChatService.Chat",
        ChatRequest(query=question).SerializeToString(),
        reply=inbox,
        headers={"Handler-Deadline-Ms": "60000"},
    )
    while True:
        reply = await replies.next_msg(timeout=65)
        headers = reply.headers or {}
        if headers.get("Status") == "503":
            sys.exit("unavailable: nobody serves this subject")
        if not reply.data:
            break  # an empty message ends the stream; its headers hold the status
        chunk = ChatStreamChunk.FromString(reply.data)
        print(chunk.content, end="", flush=True)
    await nc.close()
    if "Nats-Service-Error-Code" in headers:
        sys.exit(f"error {headers['Nats-Service-Error-Code']}: {headers['Nats-Service-Error']}")
    print()


asyncio.run(main(*sys.argv[1:]))
