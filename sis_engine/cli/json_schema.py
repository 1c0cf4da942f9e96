"""JSON Schema of campaign and comparison files, every installed plugin's own settings in it."""

from __future__ import annotations

from typing import Any

from sis_engine.comparison.config import ComparisonConfig
from sis_engine.config.campaign import CampaignConfig
from sis_engine.plugins import Kind, available, load


def campaign_schema() -> dict[str, Any]:
    """The schema; ``labeler``, ``trainer`` … are one of the installed plugins' schemas."""
    schema = CampaignConfig.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "sis-engine campaign"
    definitions = schema.setdefault("$defs", {})
    for kind in Kind:
        options = [_option(kind, name, definitions) for name in sorted(available(kind))]
        if kind is Kind.MONITOR:
            schema["properties"]["monitors"]["items"] = {"anyOf": options}
        else:
            kept = schema["properties"][kind.value]
            schema["properties"][kind.value] = {
                "anyOf": options,
                **({"default": kept["default"]} if "default" in kept else {}),
            }
    return schema


def _option(kind: Kind, name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A reference to one plugin's schema, its nested definitions moved under its own names."""
    prefix = f"{kind.value}_{name}"
    own = load(kind, name).Config.model_json_schema(ref_template=f"#/$defs/{prefix}_{{model}}")
    for nested, body in own.pop("$defs", {}).items():
        definitions[f"{prefix}_{nested}"] = body
    own["properties"]["type"] = {"const": name}
    own["required"] = sorted({*own.get("required", []), "type"})
    definitions[prefix] = own
    return {"$ref": f"#/$defs/{prefix}"}


def comparison_schema() -> dict[str, Any]:
    """The schema of a comparison file: ``changes``, cases and arms hold any keys of a campaign."""
    schema = ComparisonConfig.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "sis-engine comparison"
    campaign = _as_changes(campaign_schema())
    definitions = schema["$defs"]
    definitions |= {_PART + name: body for name, body in campaign["$defs"].items()}
    changes = {
        "type": "object",
        "properties": campaign["properties"],
        "additionalProperties": False,
    }
    definitions[_CHANGES] = changes
    here = {"$ref": f"#/$defs/{_CHANGES}"}
    definitions[_ARM] = {
        **changes,
        "properties": {**campaign["properties"], "then": {"type": "array", "items": here}},
    }
    for owner in (schema["properties"], definitions["ExaminerConfig"]["properties"]):
        owner["changes"] = here
    arm = {"$ref": f"#/$defs/{_ARM}"}
    arms = {"type": "object", "additionalProperties": arm}
    further = {"arms": arms, "examiner": here}
    definitions[_CASE] = {**changes, "properties": {**campaign["properties"], **further}}
    for key, one in (("cases", {"$ref": f"#/$defs/{_CASE}"}), ("arms", arm)):
        named = schema["properties"][key]["patternProperties"]
        named |= dict.fromkeys(named, one)
        schema["properties"][key]["additionalProperties"] = False
    return schema


_PART, _CHANGES, _ARM, _CASE = "campaign_", "changes_of_a_campaign", "arm", "case"


def _as_changes(node: Any) -> Any:
    """A schema of which any part may be given; its definitions under names of their own."""
    if isinstance(node, list):
        return [_as_changes(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: _as_changes(value) for key, value in node.items()}
    if isinstance(node.get("required"), list):
        found.pop("required")
    if isinstance(node.get("$ref"), str):
        found["$ref"] = node["$ref"].replace("#/$defs/", f"#/$defs/{_PART}")
    return found
