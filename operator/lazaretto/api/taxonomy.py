"""The words of the domain: incident categories, severities, priorities, impact, modes.

Categories and the four impact dimensions follow the OWASP AI Maturity Assessment's
"Incident Management" practice; the category names are mapped to MITRE ATLAS and OWASP
lists in `docs/reference/categories.md`.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from lazaretto.api.meta import ApiModel

Category = Literal[
    "AdversarialInput",
    "AgentMisuse",
    "ArtifactTampering",
    "AvailabilityLoss",
    "BiasEmergence",
    "ContextPoisoning",
    "CostHarvesting",
    "CredentialCompromise",
    "DataLeakage",
    "DataPoisoning",
    "GuardrailFailure",
    "Hallucination",
    "IndirectPromptInjection",
    "Jailbreak",
    "ModelDrift",
    "ModelPoisoning",
    "ModelTheft",
    "OperationalFailure",
    "OutputIntegrity",
    "PolicyViolation",
    "PrivacyInference",
    "PromptInjection",
    "SupplyChainCompromise",
    "SystemPromptLeak",
    "UnsafeOutput",
    "Unknown",
]
CATEGORIES: tuple[Category, ...] = get_args(Category)

Severity = Literal["SEV1", "SEV2", "SEV3", "SEV4", "SEV5"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Most severe first."""

Priority = Literal["P1", "P2", "P3", "P4"]

Mode = Literal["Observe", "Approve", "Automatic"]

Dimension = Annotated[int, Field(ge=0, le=4)]


class Impact(ApiModel):
    """How bad it is, in four dimensions from 0 (none) to 4 (worst). Absent means unknown."""

    user_safety: Dimension | None = None
    """0 none · 1 inconvenience · 2 unsafe output reached users · 3 recoverable harm to a person · 4 death, serious harm, or rights infringed at scale."""
    data_integrity: Dimension | None = None
    """0 none · 1 suspected · 2 non-sensitive data altered or leaked · 3 personal or secret data exposed, or training data poisoned · 4 mass or special-category data, or weights exfiltrated."""
    model_performance: Dimension | None = None
    """0 none · 1 under 5 % loss · 2 5 to 20 % · 3 over 20 % or a key capability wrong · 4 output untrustworthy, or the artefact is not the one approved."""
    compliance: Dimension | None = None
    """0 none · 1 internal policy · 2 contract · 3 plausibly notifiable · 4 a statutory clock is running."""
    scope_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """Share of requests or users touched. Above 10 raises the severity by one."""
