"""Milvus's REST interface, version 2, in front of Milvus Lite, which itself speaks gRPC only: the engine is real, this translates.

usage: python milvus_front.py PORT FOLDER
"""

import json
import os
import re
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pymilvus import AnnSearchRequest, DataType, Function, FunctionType, MilvusClient, RRFRanker
from pymilvus.exceptions import MilvusException

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]
client = MilvusClient(os.path.join(FOLDER, "milvus.db"))
one_at_a_time = threading.Lock()

TYPES = {
    "VarChar": DataType.VARCHAR,
    "Int64": DataType.INT64,
    "FloatVector": DataType.FLOAT_VECTOR,
    "SparseFloatVector": DataType.SPARSE_FLOAT_VECTOR,
}
NAMES = {int(value): name for name, value in TYPES.items()}


def create(body):
    given = body["schema"]
    schema = MilvusClient.create_schema(auto_id=given.get("autoId", False), enable_dynamic_field=given["enableDynamicField"])
    for field in given["fields"]:
        schema.add_field(
            field["fieldName"],
            TYPES[field["dataType"]],
            is_primary=field.get("isPrimary", False),
            **field.get("elementTypeParams", {}),
        )
    for function in given.get("functions", []):
        schema.add_function(
            Function(
                name=function["name"],
                function_type=FunctionType[function["type"]],
                input_field_names=function["inputFieldNames"],
                output_field_names=function["outputFieldNames"],
            )
        )
    indexes = client.prepare_index_params()
    for index in body["indexParams"]:
        indexes.add_index(
            field_name=index["fieldName"],
            index_name=index["indexName"],
            index_type=index["indexType"],
            metric_type=index["metricType"],
        )
    client.create_collection(body["collectionName"], schema=schema, index_params=indexes)
    client.load_collection(body["collectionName"])
    return {}


def describe(body):
    name = body["collectionName"]
    found = client.describe_collection(name)
    fields = [
        {
            "name": field["name"],
            "type": NAMES[int(field["type"])],
            "primaryKey": field.get("is_primary", False),
            "autoId": field.get("auto_id", False),
            "params": [{"key": key, "value": str(value)} for key, value in field.get("params", {}).items()],
        }
        for field in found["fields"]
    ]
    functions = [
        {"name": each["name"], "inputFieldNames": list(each["input_field_names"]), "outputFieldNames": list(each["output_field_names"])}
        for each in found.get("functions", [])
    ]
    indexes = [
        {"indexName": index, "fieldName": index, "metricType": client.describe_index(name, index)["metric_type"]}
        for index in client.list_indexes(name)
    ]
    return {
        "collectionName": name,
        "fields": fields,
        "functions": functions,
        "indexes": indexes,
        "enableDynamicField": found["enable_dynamic_field"],
    }


def hits(results):
    return [{**hit["entity"], "id": hit["id"], "distance": hit["distance"]} for hit in results[0]]


def search(body):
    return hits(
        client.search(
            body["collectionName"],
            data=body["data"],
            anns_field=body["annsField"],
            limit=body["limit"],
            output_fields=body["outputFields"],
        )
    )


def hybrid_search(body):
    requests = [
        AnnSearchRequest(data=each["data"], anns_field=each["annsField"], param={"metric_type": each["metricType"]}, limit=each["limit"])
        for each in body["search"]
    ]
    ranker = RRFRanker(body["rerank"]["params"]["k"])
    found = client.hybrid_search(
        body["collectionName"], requests, ranker, limit=body["limit"], output_fields=body["outputFields"]
    )
    return hits(found)


def upsert(body):
    done = client.upsert(body["collectionName"], body["data"])
    return {"upsertCount": done["upsert_count"]}


def expression(body):
    """The filter with its parameters: Milvus puts them in after parsing, Milvus Lite knows no templates, so they go in as literals."""
    literal = lambda name: json.dumps(body["exprParams"][name], ensure_ascii=False)
    return re.sub(r"\{(\w+)\}", lambda match: literal(match[1]), body["filter"])


def query(body):
    found = client.query(
        body["collectionName"],
        filter=expression(body),
        output_fields=body["outputFields"],
        limit=body["limit"],
    )
    return [dict(row) for row in found]


def delete(body):
    client.delete(body["collectionName"], filter=expression(body))
    return {}


ROUTES = {
    "collections/create": create,
    "collections/describe": describe,
    "collections/has": lambda body: {"has": client.has_collection(body["collectionName"])},
    "collections/list": lambda body: client.list_collections(),
    "collections/drop": lambda body: client.drop_collection(body["collectionName"]) or {},
    "entities/search": search,
    "entities/hybrid_search": hybrid_search,
    "entities/upsert": upsert,
    "entities/query": query,
    "entities/delete": delete,
}


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(200, {"code": 0, "data": {}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        route = ROUTES.get(self.path.removeprefix("/v2/vectordb/"))
        if route is None:
            self.answer(404, {"code": 404, "message": "no such route"})
            return
        try:
            with one_at_a_time:
                result = {"code": 0, "data": route(body)}
        except MilvusException as error:
            result = {"code": error.code, "message": error.message}
        except KeyError as error:
            result = {"code": 1802, "message": f"missing required parameters, error: {error}"}
        except Exception:  # a mistake of this front: the test must not take it for Milvus's answer
            traceback.print_exc()
            self.answer(500, {})
            return
        self.answer(200, result)

    def answer(self, status, value):
        text = json.dumps(value, default=float).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


ThreadingHTTPServer(("127.0.0.1", PORT), Front).serve_forever()
