"""The service model that the API is checked against (coordinator/api/tests/model_walk.rs) is the one that clients have."""

import gzip
import json
import os
import pathlib

import botocore

COPY = pathlib.Path(__file__).parents[2] / "coordinator/api/tests/model/emr-serverless-2021-07-13.json"
MODEL = pathlib.Path(botocore.__file__).parent / "data/emr-serverless/2021-07-13/service-2.json.gz"


def bare(value):
    """Without documentation."""
    if isinstance(value, dict):
        return {key: bare(item) for key, item in value.items() if key != "documentation"}
    return [bare(item) for item in value] if isinstance(value, list) else value


def lines(members):
    return ",\n".join(f"{json.dumps(name)}:{json.dumps(item, separators=(',', ':'))}" for name, item in members.items())


def test_the_model_that_the_api_is_checked_against_is_the_one_that_clients_have():
    model = bare(json.loads(gzip.decompress(MODEL.read_bytes())))
    text = '{"operations":{\n' + lines(model["operations"]) + '\n},"shapes":{\n' + lines(model["shapes"]) + "\n}}\n"
    if os.environ.get("HEARTH_MODEL") == "record":
        COPY.write_text(text)
    assert json.loads(COPY.read_text()) == json.loads(text), (
        "the model has changed: run this test with HEARTH_MODEL=record, then mend what model_walk says")
