"""JSON Schema of the campaign file, with every installed plugin's own settings in it."""

from __future__ import annotations

from typing import Any

from sis_engine.config import CampaignConfig
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
