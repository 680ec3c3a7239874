"""Asks a question as publishers did before protobuf: a MessagePack map, no headers. The answer is a map, too.

    python chat_msgpack.py "What is a claim check?"
"""

import asyncio
import os
import sys
import uuid

import msgpack
import nats


async def main(question):
    nc = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    request = {"request_id": uuid.uuid4().hex, "user_id": "u1", "message": question, "enable_streaming": True}
    frames = await nc.subscribe(f"ai.chat.response.stream.{request['request_id']}")
    final = await nc.subscribe(f"ai.chat.response.{request['request_id']}")
    await nc.publish("ai.chat.request", msgpack.packb(request))

    while True:
        chunk = msgpack.unpackb((await frames.next_msg(timeout=120)).data)
        print(chunk["content"], end="", flush=True)
        if chunk["done"]:
            break
    answer = msgpack.unpackb((await final.next_msg(timeout=120)).data)
    await nc.close()
    if error := answer.get("error"):
        sys.exit(f"{error['type']}: {error['message']}")
    print(f"\n-- {answer['response']}")


asyncio.run(main(*sys.argv[1:]))
