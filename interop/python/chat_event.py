"""Asks a question on an event subject and prints the answer as it is written.

    python chat_event.py "What is a claim check?" [USER]
"""

import asyncio
import os
import sys
import uuid

import nats
from contract import message

ChatRequest, ChatResponse, ChatStreamChunk = map(message, ("ChatRequest", "ChatResponse", "ChatStreamChunk"))


async def main(question, user=""):
    nc = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    request = ChatRequest(request_id=uuid.uuid4().hex, query=question, enable_streaming=True)

    # Listen first: the answer may come before the publish is confirmed.
    frames = await nc.subscribe(f"ai.chat.response.stream.{request.request_id}")
    final = await nc.subscribe(f"ai.chat.response.{request.request_id}")
    subject = f"ai.chat.user.{user}.message" if user else "ai.chat.request"
    await nc.jetstream().publish(subject, request.SerializeToString())

    seen = (0, 0)
    while True:
        chunk = ChatStreamChunk.FromString((await frames.next_msg(timeout=120)).data)
        if (chunk.attempt, chunk.sequence) <= seen:
            continue  # sent again, or from an attempt that another replica has taken over
        seen = (chunk.attempt, chunk.sequence)
        if chunk.type == "restart":
            print("\n(begun anew)")
        print(chunk.content, end="", flush=True)
        if chunk.done:
            break

    answer = ChatResponse.FromString((await final.next_msg(timeout=120)).data)
    await nc.close()
    if answer.HasField("error"):
        sys.exit(f"{answer.error.type}: {answer.error.message}")
    print(f"\n-- {answer.response}")
    for number, source in enumerate(answer.sources, 1):
        print(f"[{number}] {source.title}")


asyncio.run(main(*sys.argv[1:]))
