"""Message classes of the contract, made from its descriptor set when the program starts.

`protoc --python_out=. -I proto …` makes the same classes ahead of time.
"""

import os
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_path = os.environ.get("CONTRACT") or Path(__file__).parents[2] / "proto" / "frozen.binpb"
_pool = descriptor_pool.DescriptorPool()
for _file in descriptor_pb2.FileDescriptorSet.FromString(Path(_path).read_bytes()).file:
    _pool.Add(_file)


def message(name):
    """The class of a message of package messages.v1."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"messages.v1.{name}"))
