"""Map states: what they are over, how items are put together, and how many may fail.

One rule: what counts only in distributed mode is read in both, so that all that is wrong is said.

Spec: "Map State"; AWS, "Using Map state in Distributed mode".
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from treadle.asl import limits
from treadle.asl.fields import Fields, shown
from treadle.asl.json import Json
from treadle.asl.jsonata import is_expression
from treadle.asl.lint_failures import read_catchers, read_retriers
from treadle.asl.lint_members import Common, read_data
from treadle.asl.paths import Path
from treadle.asl.program import Batcher, Machine, Map, PathData, Reading, State
from treadle.asl.queries import Query
from treadle.asl.templates import Template

_NOTHING: Final = Machine("", {})
# What AWS ignores in an inline Map.
_DISTRIBUTED_ONLY: Final = (
    "ItemBatcher",
    "ItemReader",
    "Label",
    "ResultWriter",
    "ToleratedFailureCount",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentage",
    "ToleratedFailurePercentagePath",
)
_LABEL: Final = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]+")


def read_map(state: Fields, common: Common) -> State:
    """A Map."""
    if "Iterator" not in state:
        state.require("ItemProcessor")
    state.exclusive("ItemProcessor", "Iterator")
    state.exclusive("ItemSelector", "Parameters")
    for old, new in (("Iterator", "ItemProcessor"), ("Parameters", "ItemSelector")):
        if old in state:
            state.wrong(old, "map-member-deprecated", f"{old} is the older name of {new}.")
    data, selector = read_data(state), state.template("ItemSelector")
    if isinstance(data, PathData):
        # What other states call Parameters makes the input of each item here.
        selector = selector if selector is not None else data.parameters
        data = replace(data, parameters=None)
    is_distributed = _read_mode(state, common)
    (reader, reading), writer = _read_reader(state), _read_writer(state)
    return Map(
        name=common.name,
        next=common.next,
        assign=state.assign(),
        data=data,
        processor=common.inner[0] if common.inner else _NOTHING,
        items=_read_items(state),
        item_selector=selector,
        concurrency_max=state.computed("MaxConcurrency", 0, limits.CONCURRENCY_MAX) or 0,
        is_distributed=is_distributed,
        label=_read_label(state) or _label_of(common.name),
        batcher=_read_batcher(state) if is_distributed else None,
        tolerated_count=state.computed("ToleratedFailureCount", 0, limits.COUNT_MAX),
        tolerated_percentage=_read_percentage(state),
        reader=reader if is_distributed else "",
        reading=reading,
        writer=writer if is_distributed else "",
        retry=read_retriers(state),
        catch=read_catchers(state),
    )


def _read_mode(state: Fields, common: Common) -> bool:
    """Whether it is distributed; what is wrong with that is said where its processor is read."""
    if mode_of(state.value) == "DISTRIBUTED":
        if common.express:
            message = "An EXPRESS machine cannot have a distributed Map; make it STANDARD."
            state.report.add(state.pointer, "map-distributed-express", message)
        return True
    for name in _DISTRIBUTED_ONLY:
        if name in state:
            message = f"{name} counts in a Map of Mode DISTRIBUTED only; here it has no effect."
            state.wrong(name, "map-member-inline", message)
    return False


def mode_of(state: Mapping[str, Json]) -> Json:
    """The Mode of a Map as it is written; None where there is none."""
    processor = state.get("ItemProcessor", state.get("Iterator"))
    config = processor.get("ProcessorConfig") if isinstance(processor, dict) else None
    return config.get("Mode") if isinstance(config, dict) else None


def _read_items(state: Fields) -> Path | Template | Query | None:
    if not state.is_jsonata:
        return state.path("ItemsPath")
    items = state.value.get("Items")
    if isinstance(items, str) and is_expression(items):
        return state.query("Items")
    if "Items" in state and not isinstance(items, list | dict):
        message = f"Items is {shown(items)}; it must be an array or an expression {{% … %}}."
        state.wrong("Items", "member-type", message)
        return None
    return state.template("Items")


def _read_percentage(state: Fields) -> float | Path | Query | None:
    name, code = "ToleratedFailurePercentage", "member-range"
    if not state.is_jsonata:
        state.exclusive(name, f"{name}Path")
        path = state.single_path(f"{name}Path")
        return state.number(name, 0, 100, code) if path is None else path
    value = state.value.get(name)
    if isinstance(value, str) and is_expression(value):
        return state.query(name)
    return state.number(name, 0, 100, code)


def _read_batcher(state: Fields) -> Batcher | None:
    batcher = state.inner("ItemBatcher")
    if batcher is None:
        return None
    bounds = ("MaxItemsPerBatch", "MaxInputBytesPerBatch")
    paths = () if state.is_jsonata else tuple(f"{name}Path" for name in bounds)
    batcher.only((*bounds, *paths, "BatchInput"))
    if not any(name in batcher for name in (*bounds, *paths)):
        message = f"ItemBatcher must have {bounds[0]} or {bounds[1]}."
        batcher.report.add(batcher.pointer, "map-batcher-bounds", message)
    return Batcher(
        items_max=batcher.computed(bounds[0], 1, limits.COUNT_MAX),
        bytes_max=batcher.computed(bounds[1], 1, limits.BATCH_BYTES_MAX),
        input=batcher.template("BatchInput"),
    )


def _read_label(state: Fields) -> str | None:
    label = state.text("Label")
    if label is None:
        return None
    if not 1 <= len(label) <= limits.LABEL_CHARS_MAX or not _LABEL.fullmatch(label):
        message = (
            f"Label is {shown(label)}; it has 1 to {limits.LABEL_CHARS_MAX} characters and none "
            'of them is a space, a bracket, a wildcard or one of < > " # % \\ ^ | ~ ` $ & , ; : /.'
        )
        state.wrong("Label", "map-label-invalid", message)
    return label


def _label_of(name: str) -> str:
    """The label of a Map that has none: the same for each execution of the definition."""
    digits = hashlib.sha256(name.encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


_READER: Final = ("Arguments", "Parameters", "ReaderConfig", "Resource")
_READS: Final = ("arn:aws:states:::s3:getObject", "arn:aws:states:::s3:listObjectsV2")
_FORMATS: Final = ("CSV", "JSON", "JSONL", "MANIFEST", "PARQUET")
_DELIMITERS: Final = ("COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB")


def _read_reader(state: Fields) -> tuple[str, Reading]:
    """Spec: AWS, "ItemReader"."""
    reader = state.inner("ItemReader")
    if reader is None:
        return "", Reading()
    reader.only(_own(reader, _READER))
    reader.require("Resource")
    reader.template(_arguments(reader))
    config = reader.inner("ReaderConfig")
    reading = Reading() if config is None else _read_reader_config(config, state)
    return reader.one_of("Resource", _READS) or "", reading


def _read_reader_config(config: Fields, state: Fields) -> Reading:
    paths = () if state.is_jsonata else ("MaxItemsPath",)
    config.only(
        (
            "CSVDelimiter",
            "CSVHeaderLocation",
            "CSVHeaders",
            "InputType",
            "ItemsPointer",
            "ManifestType",
            "MaxItems",
            "Transformation",
            *paths,
        )
    )
    location = config.one_of("CSVHeaderLocation", ("FIRST_ROW", "GIVEN"))
    manifest = config.one_of("ManifestType", ("ATHENA_DATA", "S3_INVENTORY"))
    config.one_of("Transformation", ("LOAD_AND_FLATTEN", "NONE"))
    headers = config.texts("CSVHeaders")
    return Reading(
        input_type=config.one_of("InputType", _FORMATS) or ("MANIFEST" if manifest else "JSON"),
        delimiter=config.one_of("CSVDelimiter", _DELIMITERS) or "COMMA",
        headers=headers if location == "GIVEN" else None,
        pointer=config.text("ItemsPointer") or "",
        items_max=config.computed("MaxItems", 0, limits.ITEMS_READ_MAX),
    )


def _read_writer(state: Fields) -> str:
    """Spec: AWS, "ResultWriter"."""
    writer = state.inner("ResultWriter")
    if writer is None:
        return ""
    writer.only((*_own(writer, ("Arguments", "Parameters", "Resource")), "WriterConfig"))
    if "Resource" not in writer and "WriterConfig" not in writer:
        writer.require("Resource")
    writer.template(_arguments(writer))
    config = writer.inner("WriterConfig")
    if config is not None:
        config.only(("OutputType", "Transformation"))
        config.one_of("Transformation", ("COMPACT", "FLATTEN", "NONE"))
        config.one_of("OutputType", ("JSON", "JSONL"))
    return writer.one_of("Resource", ("arn:aws:states:::s3:putObject",)) or "WriterConfig"


def _arguments(holder: Fields) -> str:
    return "Arguments" if holder.is_jsonata else "Parameters"


def _own(holder: Fields, names: tuple[str, ...]) -> tuple[str, ...]:
    other = "Parameters" if holder.is_jsonata else "Arguments"
    return tuple(name for name in names if name != other)
