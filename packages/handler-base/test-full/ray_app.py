"""Ray Serve applications that the clients are tested against: a counting language model under /llm and again under /spare, and
embeddings under /embeddings. What a request's last message says decides what happens to it: see Llm.chat.

usage: python ray_app.py PORT FOLDER   events go to FOLDER/log, one line each: EVENT LABEL
"""

import asyncio
import hashlib
import json
import os
import signal
import sys
import threading

import ray
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from ray import serve

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]
MODEL = "counting"
llm = FastAPI()
embeddings = FastAPI()


def chunk(delta, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return "data: " + json.dumps({"object": "chat.completion.chunk", "model": MODEL, "choices": [choice]}) + "\n\n"


@serve.deployment(num_replicas=1, max_ongoing_requests=2, max_queued_requests=1, ray_actor_options={"num_cpus": 0.1})
@serve.ingress(llm)
class Llm:
    def __init__(self, folder):
        self.folder = folder
        wait = os.path.join(folder, "start-slowly")  # holds the seconds that the next replicas take
        if os.path.exists(wait):
            import time

            time.sleep(float(open(wait).read()))

    def log(self, event, label):
        with open(os.path.join(self.folder, "log"), "a") as log:
            log.write(f"{event} {label}\n")

    @llm.get("/v1/models")
    async def models(self):
        return {"object": "list", "data": [{"id": MODEL, "object": "model"}]}

    @llm.post("/v1/chat/completions")
    async def chat(self, request: Request):
        """A message "ACTION LABEL COUNT SECONDS": COUNT tokens with SECONDS between them, and the action in the middle of them.

        count: nothing more; die: the replica's process ends; raise: an exception; wait: everything at once after the whole time;
        refuse: an exception before the first byte.
        """
        body = await request.json()
        action, label, count, seconds = body["messages"][-1]["content"].split(" ")
        count, seconds = int(count), float(seconds)
        self.log("start", label)
        if action == "refuse":
            raise RuntimeError("refused")
        if action == "wait":
            try:
                await asyncio.sleep(count * seconds)
            except asyncio.CancelledError:
                self.log("cancelled", label)
                raise
            self.log("done", label)
            message = {"role": "assistant", "content": "waited"}
            return {"model": MODEL, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        return StreamingResponse(self.tokens(action, label, count, seconds), media_type="text/event-stream")

    async def tokens(self, action, label, count, seconds):
        try:
            for number in range(count):
                if number == count // 2 and action == "die":
                    os._exit(1)
                if number == count // 2 and action == "raise":
                    raise RuntimeError("in the middle")
                yield chunk({"content": f"{number} "})
                await asyncio.sleep(seconds)
            yield chunk({}, "stop")
            yield "data: [DONE]\n\n"
            self.log("done", label)
        except (asyncio.CancelledError, GeneratorExit):
            self.log("cancelled", label)
            raise


@serve.deployment(num_replicas=1, max_ongoing_requests=100, ray_actor_options={"num_cpus": 0.1})
@serve.ingress(embeddings)
class Embeddings:
    @embeddings.post("/v1/embeddings")
    async def embed(self, request: Request):
        body = await request.json()
        digests = [hashlib.sha256(text.encode()).digest() for text in body["input"]]
        data = [
            {"object": "embedding", "index": index, "embedding": [byte / 255 for byte in digest]}
            for index, digest in enumerate(digests)
        ]
        return {"object": "list", "data": data, "model": MODEL, "usage": {"prompt_tokens": len(data), "total_tokens": len(data)}}


def main():
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 * 1024 * 1024,
        _node_ip_address="127.0.0.1",
        _temp_dir=FOLDER,
    )
    options = {"host": "127.0.0.1", "port": PORT}
    if "REQUEST_TIMEOUT_S" in os.environ:
        options["request_timeout_s"] = float(os.environ["REQUEST_TIMEOUT_S"])
    serve.start(http_options=options)
    serve.run(Embeddings.bind(), name="embeddings", route_prefix="/embeddings")
    serve.run(Llm.bind(FOLDER), name="llm", route_prefix="/llm")
    serve.run(Llm.bind(FOLDER), name="spare", route_prefix="/spare")
    stopped.wait()
    ray.shutdown()


main()
