"""Names, bounds and base classes that every kind shares.

All models are frozen and ignore unknown fields: an object written by a newer version must
still be readable. Bounds live in the types, because the API server estimates the cost of
CEL rules from the longest string and list that the schema allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, PlainSerializer
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

from lazaretto.api.schema import JsonSchema, KindFacts, Rule

GROUP = "lazaretto.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

LABEL_MODEL = f"{GROUP}/model"
LABEL_CATEGORY = f"{GROUP}/category"
LABEL_PROTECTED = f"{GROUP}/protected"
LABEL_INCIDENT = f"{GROUP}/incident"
LABEL_EVIDENCE = f"{GROUP}/evidence"
LABEL_QUARANTINE = f"{GROUP}/quarantine"
LABEL_COPY = f"{GROUP}/copy"

_DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"


def rfc3339(moment: datetime) -> str:
    """The moment in UTC as Kubernetes writes it, with microseconds: `2026-01-02T03:04:05.000006Z`."""
    # Not strftime: it writes the year 1, which is how Go prints "no time", without its zeros.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


Timestamp = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
Name = Annotated[str, Field(min_length=1, max_length=253, pattern=_DNS_SUBDOMAIN)]
ModelName = Annotated[str, Field(min_length=1, max_length=52, pattern=_DNS_LABEL)]
Uid = Annotated[str, Field(min_length=1, max_length=64)]
ShortText = Annotated[str, Field(max_length=256)]
Text = Annotated[str, Field(max_length=1024)]
UserName = Annotated[str, Field(min_length=1, max_length=256)]
LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
LabelValue = Annotated[str, Field(max_length=256)]
LabelMap = Annotated[dict[str, LabelValue], Field(max_length=32)]
Duration = Annotated[str, Field(max_length=16, pattern=r"^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$", min_length=2)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", max_length=64)]


class ApiModel(BaseModel):
    """Base of everything that is stored in the API server.

    `rules` are the CEL rules of the object itself, and `written_whole` says that whoever writes one of its fields
    writes all of them: then the API server notes who owns the object, not who owns each field. `crdgen` prints both.
    """

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()
    written_whole: ClassVar[bool] = False

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        schema = dict(handler.resolve_ref_schema(handler(core)))
        if cls.written_whole:
            schema["x-kubernetes-map-type"] = "atomic"
        if cls.rules:
            schema["x-kubernetes-validations"] = [{"rule": r.rule, "message": r.message} for r in cls.rules]
        return schema

    def dump(self) -> dict[str, Any]:
        """The JSON form for the API server: camelCase, absent rather than null."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def dump_sparse(self) -> dict[str, Any]:
        """Like `dump`, without what equals its default: a status that people read has no empty fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)


class ObjectMeta(ApiModel):
    """The part of Kubernetes object metadata that Lazaretto reads."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None


class Resource(ApiModel):
    """A stored object of one of our kinds."""

    facts: ClassVar[KindFacts]

    metadata: ObjectMeta = ObjectMeta()

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """Parse an object as the API server returned it; raises `pydantic.ValidationError` if it cannot be one."""
        return cls.model_validate(body)


class Condition(ApiModel):
    """One observation about an object, as the Kubernetes API conventions define it."""

    type: Annotated[str, Field(max_length=64)]
    """What was observed, as an adjective or past participle."""
    status: Annotated[str, Field(max_length=7, pattern="^(True|False|Unknown)$")]
    """True, False, or Unknown. What was not proved is Unknown, never True."""
    reason: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z]([A-Za-z0-9]*)$")]
    """One CamelCase word that programs may match."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """The same for people: which object, which value, what to do."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation of the spec that this observation belongs to."""
    last_transition_time: Timestamp
    """When the status last changed (not when it was last confirmed)."""
