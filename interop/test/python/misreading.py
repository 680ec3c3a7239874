"""Reads the bytes of every answer type, errors included, as every other one: nothing may look set."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "python"))

from contract import message  # noqa: E402
from google.protobuf.descriptor import FieldDescriptor  # noqa: E402

NAMES = (
    "ErrorResponse GreetingResponse ChatResponse ChatStreamChunk VoiceResponse TTSAudioChunk TTSFullResponse TTSStatus "
    "TTSVoiceListResponse TTSVoiceRefreshResponse STTTranscription STTInterrupt PipelineStatus"
).split()


def fill(made):
    for field in made.DESCRIPTOR.fields:
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            held = getattr(made, field.name)
            (held.add() if field.is_repeated else held).SetInParent()
        else:
            value = {
                FieldDescriptor.CPPTYPE_STRING: b"x" if field.type == FieldDescriptor.TYPE_BYTES else "x",
                FieldDescriptor.CPPTYPE_BOOL: True,
            }.get(field.cpp_type, 1)
            if field.is_repeated:
                getattr(made, field.name).append(value)
            else:
                setattr(made, field.name, value)
    return made


pairs = 0
for writer in NAMES:
    data = fill(message(writer)()).SerializeToString()
    assert len(message(writer).FromString(data).ListFields()) == len(message(writer).DESCRIPTOR.fields)
    for reader in NAMES:
        if reader == writer:
            continue
        pairs += 1
        read = message(reader).FromString(data)
        assert not read.ListFields(), f"{writer} read as {reader} sets {[f.name for f, _ in read.ListFields()]}"
print(f"{len(NAMES)} types, {pairs} pairs: none is read as another")
