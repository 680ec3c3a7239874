"""Tells that a user has signed in, then asks for a greeting and prints it.

    python greeting.py u1 Ada
"""

import asyncio
import os
import sys
import time
import uuid

import nats
from contract import message

LoginEvent, GreetingRequest, GreetingResponse = map(message, ("LoginEvent", "GreetingRequest", "GreetingResponse"))


async def main(user, nickname):
    nc = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    js = nc.jetstream()

    # Nobody answers this one; the confirmation says that it is stored.
    login = LoginEvent(user_id=user, nickname=nickname, timestamp=int(time.time()))
    stored = await js.publish(f"ai.chat.user.{user}.login", login.SerializeToString())
    print(f"stored in {stored.stream}")

    # All greetings of a user come on one subject: the id tells which.
    request = GreetingRequest(request_id=uuid.uuid4().hex, nickname=nickname)
    answers = await nc.subscribe(f"ai.chat.user.{user}.greeting.response")
    await js.publish(f"ai.chat.user.{user}.greeting.request", request.SerializeToString())
    while True:
        answer = GreetingResponse.FromString((await answers.next_msg(timeout=60)).data)
        if answer.request_id == request.request_id:
            break
    await nc.close()
    if answer.HasField("error"):
        sys.exit(f"{answer.error.type}: {answer.error.message}")
    print(answer.greeting)


asyncio.run(main(*sys.argv[1:]))
