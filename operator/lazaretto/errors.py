"""Every error that Lazaretto raises on purpose.

    LazarettoError
    ├── ConfigurationError        a flag, file or environment variable is wrong; the process ends
    ├── InvalidInput              a field of something we were sent; the sender is told
    ├── TooLarge                  more has to be stored than an object of ours may hold
    ├── TemplateRefused           a recorded pod template is not run again
    ├── SchemaError               a type that a CRD cannot express, or leaves unbounded
    └── ApiError                  the API server said no, or said nothing
        ├── NotFound              404
        ├── AlreadyExists         409 on create
        ├── Conflict              409/422 on a guarded write: somebody else was faster, or the uid differs
        ├── Forbidden             401/403: rights are missing, or admission refused
        ├── Invalid               400/422: the request itself is wrong
        ├── Expired               410: a watch or list must start over
        ├── Unavailable           429, 5xx, no answer, admission not ready: worth another try; `retry_after` in seconds
        └── NotLeading            not sent: another replica may write by now

Errors are raised where they happen and logged once, at the edge. `receiver.refusal.Refusal` derives
from the base as well: it is a request that is not taken, together with its HTTP answer.
"""

from __future__ import annotations


class LazarettoError(Exception):
    """Base of all of them; its text is fit for a person."""


class ConfigurationError(LazarettoError):
    """The process cannot run as configured."""


class InvalidInput(LazarettoError):
    """One field of an input is unusable. Carries the field, its value, and what to do."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        self.field = field
        self.value = repr(value)[:200]
        self.remedy = remedy
        super().__init__(f"{field}: {self.value}: {remedy}")


class TooLarge(LazarettoError):
    """Something exceeds a bound of our own kinds; the text says what, and the bound."""


class TemplateRefused(LazarettoError):
    """A recorded pod template is not run again; the text says why."""


class SchemaError(LazarettoError):
    """A type that a CRD cannot express, or leaves unbounded; the text names the field's path."""


class ApiError(LazarettoError):
    """An answer of the API server that is not a success."""

    def __init__(self, status: int, message: str, *, request: str = "", retry_after: float | None = None) -> None:
        self.status = status
        self.message = message
        self.request = request
        self.retry_after = retry_after
        super().__init__(f"{request}: {status} {message}" if request else f"{status} {message}")


class NotFound(ApiError):
    """The object, or its kind, does not exist."""


class AlreadyExists(ApiError):
    """An object of that name exists."""


class Conflict(ApiError):
    """A guard did not hold: read again, decide again."""


class Forbidden(ApiError):
    """Rights are missing, or admission refused; repeating does not help."""


class Invalid(ApiError):
    """The API server does not accept the object or patch."""


class Expired(ApiError):
    """The resource version is too old."""


class Unavailable(ApiError):
    """No answer, or an answer that asks for another try."""


class NotLeading(ApiError):
    """The write was not sent, because another replica may be the one that writes."""
