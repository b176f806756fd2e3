"""operator/treadle/asl/services.jsonl.gz from the service models of botocore; `make services`.

The one rule: what the file says is the models' own, and the same models make the same bytes. Two
releases are read. AWS looks at mocks with models as old as that feature, and what it answered was
recorded then: shapes are of that day's release. Actions and values that came later are added from a
newer one, so that nothing is refused for being new. The form of the file: `treadle.asl.services`.
Source of names and of what is left out: AWS, "Learning to use AWS service SDK integrations in Step
Functions".
"""

import gzip
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Model = Mapping[str, Any]

# Longer lists of values grow faster than the file is made anew (instance types, runtimes).
ENUM_VALUES_MAX = 32

# Deprecated, or never given to Step Functions. What streams is found by its shape.
UNSUPPORTED: Mapping[str, frozenset[str]] = {
    service: frozenset(actions.split())
    for service, actions in {
        "applicationdiscovery": "DescribeExportConfigurations ExportConfigurations",
        "codedeploy": "BatchGetDeploymentInstances GetDeploymentInstance ListDeploymentInstances"
        " SkipWaitTimeForInstanceTermination",
        "comprehendmedical": "DetectEntities",
        "dataexchange": "SendApiAsset",
        "directconnect": "AllocateConnectionOnInterconnect DescribeConnectionLoa"
        " DescribeConnectionsOnInterconnect DescribeInterconnectLoa",
        "efs": "CreateTags",
        "elastictranscoder": "TestRole",
        "emr": "DescribeJobFlows",
        "iot": "AttachPrincipalPolicy DetachPrincipalPolicy ListPolicyPrincipals"
        " ListPrincipalPolicies",
        "iotdeviceadvisor": "ListTestCases",
        "lambda": "InvokeAsync",
        "mediapackage": "RotateChannelCredentials",
        "rdsdata": "ExecuteSql",
        "shield": "DeleteSubscription",
        "sts": "AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity",
    }.items()
}


def service_name(model: Model) -> str:
    """The service as Step Functions spells it.

    Lower-case letters and digits of the serviceId, without a last word "Service": `Config Service`
    is `config`, `SFN` is `sfn`.
    """
    name = re.sub(r"[^a-z0-9]", "", model["metadata"]["serviceId"].lower())
    return name.removesuffix("service")


def service_row(models: Sequence[Model]) -> tuple[dict[str, Any], list[Any]]:
    """The actions of a service, each with its output, and the list of shapes that they name.

    Args:
        models: of the same service, the one that is believed first; the others add the actions that
            it does not have, and values to its enumerations.
    """
    left_out = UNSUPPORTED.get(service_name(models[0]), frozenset())
    actions: dict[str, Any] = {}
    rows: list[Any] = []
    for at, model in enumerate(models):
        table = _Table([each["shapes"] for each in models[at:]], first=len(rows))
        for name, operation in model["operations"].items():
            action = name[0].lower() + name[1:]
            if action in actions or name in left_out or _streams(model, operation):
                continue
            output = operation.get("output")
            actions[action] = table.code(output["shape"]) if output else None
        rows += table.rows()
    return dict(sorted(actions.items())), rows


def packed(releases: Sequence[Iterable[Model]], source: str) -> bytes:
    """The whole file, of the models of releases; the release that is believed first."""
    models: dict[str, list[Model]] = {}
    for release in releases:
        for model in release:
            models.setdefault(service_name(model), []).append(model)
    rows = [(name, *service_row(models[name])) for name in sorted(models)]
    index = {name: " ".join(actions) for name, actions, _ in rows}
    lines = [_text({"source": source, "actions": index}), *(_text(row) for row in rows)]
    return gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0)


def newest_models(folder: Path) -> Iterator[Model]:
    """The newest model of each service in botocore's folder of data."""
    for service in sorted(path for path in folder.iterdir() if path.is_dir()):
        for path in sorted(service.glob("*/service-2.json*"))[-1:]:
            text = path.read_bytes()
            yield json.loads(gzip.decompress(text) if path.suffix == ".gz" else text)


class _Table:
    """Shapes by number, each written once, so that a shape may hold itself."""

    def __init__(self, shapes: Sequence[Mapping[str, Any]], first: int) -> None:
        self._shapes, *self._others = shapes
        self._first = first
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}

    def code(self, name: str) -> str | int:
        shape = self._shapes[name]
        if shape.get("document"):
            return "a"
        if shape["type"] not in ("structure", "list", "map"):
            return leaf([shape, *(other[name] for other in self._others if name in other)])
        if name not in self._numbers:
            self._numbers[name] = self._first + len(self._names)
            self._names.append(name)
        return self._numbers[name]

    def rows(self) -> list[Any]:
        """Every numbered shape; writing one may number more, which this loop then reaches."""
        return [self._row(self._shapes[name]) for name in self._names]

    def _row(self, shape: Mapping[str, Any]) -> Any:
        if shape["type"] == "list":
            return ["l" + _most(shape), self.code(shape["member"]["shape"])]
        if shape["type"] == "map":
            return ["m" + _most(shape), self.code(shape["value"]["shape"])]
        members: Mapping[str, Any] = shape["members"]
        required = shape.get("required", [])
        names = [*required, *(name for name in members if name not in required)]
        return {
            ("!" if name in required else "") + _member_name(name): (
                "a" if members[name].get("jsonvalue") else self.code(members[name]["shape"])
            )
            for name in names
        }


def leaf(shapes: Sequence[Mapping[str, Any]]) -> str:
    """The code of a shape that holds no other: of its first version, with the values of all."""
    shape = shapes[0]
    if shape["type"] == "string" and all("enum" in each for each in shapes):
        values = dict.fromkeys(value for each in shapes for value in each["enum"])
        assert not any("|" in value for value in values)
        if len(values) <= ENUM_VALUES_MAX:
            return "e" + "|".join(values)
    return _LEAVES[shape["type"]] + _bounds(shape)


_LEAVES = {
    "blob": "x",
    "boolean": "b",
    "double": "n",
    "float": "n",
    "integer": "n",
    "long": "n",
    "string": "s",
    "timestamp": "t",
}


def _bounds(shape: Mapping[str, Any]) -> str:
    if "min" not in shape and "max" not in shape:
        return ""
    return f"{shape.get('min', '')}:{shape.get('max', '')}"


def _most(shape: Mapping[str, Any]) -> str:
    """Of a list or a map its greatest size alone: services answer with empty ones all the same."""
    return f":{shape['max']}" if "max" in shape else ""


def _member_name(name: str) -> str:
    """PascalCase; `equals` is another word in Step Functions."""
    pascal = name[0].upper() + name[1:]
    return "EqualsValue" if pascal == "Equals" else pascal


def _streams(model: Model, operation: Mapping[str, Any]) -> bool:
    shapes = model["shapes"]
    ends = [shapes[operation[end]["shape"]] for end in ("input", "output") if end in operation]
    members = [member["shape"] for end in ends for member in end.get("members", {}).values()]
    return any(shapes[member].get("eventstream") for member in members)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main(path: str, *folders: str) -> None:
    """Write the file, of botocore in the folders where releases of it were put."""
    found = [Path(folder) for folder in folders]
    releases = [path.name.removesuffix(".dist-info") for each in found for path in _infos(each)]
    models = [newest_models(folder / "botocore" / "data") for folder in found]
    Path(path).write_bytes(packed(models, ", ".join(releases)))


def _infos(folder: Path) -> list[Path]:
    return sorted(folder.glob("botocore-*.dist-info"))


if __name__ == "__main__":
    main(*sys.argv[1:])
