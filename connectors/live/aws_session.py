"""AWS clients: the options that say with whose credentials and where, and AWS's refusals as sentences that name what to grant.

Without options the usual chain of credentials counts (environment, profile, the role of the machine or pod). `endpoint_url` leads to what
speaks the same protocol: MinIO, Ceph, R2, or a server for tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from connectors.live.requests import Passing, attempts
from connectors.live.source import Finding, Option, SourceSettings, problem
from warehouse.errors import InputError, SourceError

ACCESS = (
    Option("region", "AWS region of the service", '"eu-central-1"'),
    Option("profile", "profile of ~/.aws/config whose credentials count", '"billing"'),
    Option("role_arn", "role to assume for reading", '"arn:aws:iam::123456789012:role/percall"'),
    Option("external_id", "external id that the role's trust policy asks for", '"percall"'),
    Option("endpoint_url", "address of a compatible service in place of AWS", '"https://minio.example.com"'),
    Option("access_key_id_env", "variable with an access key id, where the usual chain does not count", '"PERCALL_AWS_ID"', secret=True),
    Option("secret_access_key_env", "variable with its secret access key", '"PERCALL_AWS_SECRET"', secret=True),
    Option("session_token_env", "variable with its session token, if it is temporary", '"PERCALL_AWS_TOKEN"', secret=True),
)  # fmt: skip
"""Options of every source that asks AWS or something compatible."""

CONNECT_TIMEOUT, READ_TIMEOUT = 10, 60
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired")
_WRONG_KEY = (
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure",
    "InvalidSignatureException", "InvalidToken",
)  # fmt: skip
_FORBIDDEN = (
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnauthorizedAccess",
    "403",
    "Forbidden",
    "AuthorizationError",
)
_PASSING = (
    "Throttling", "ThrottlingException", "TooManyRequestsException", "LimitExceededException", "RequestLimitExceeded", "SlowDown",
    "InternalError", "InternalFailure", "InternalServerError", "InternalServiceFault", "ServiceUnavailable", "RequestTimeout",
    "RequestTimeoutException", "500", "502", "503", "504",
)  # fmt: skip


def client(settings: SourceSettings, service: str, *, region: str | None = None) -> Any:
    """A boto3 client with the credentials of a source; `region` is the default where the source names none.

    What may pass is repeated by whoever uses it (`connectors.live.requests.attempts`). Raises SourceError when there are no credentials
    or the role cannot be assumed.
    """
    from botocore.config import Config  # type: ignore[import-untyped]

    options = settings.options
    key, secret = settings.secret("access_key_id_env"), settings.secret("secret_access_key_env")
    if (key is None) != (secret is None):
        raise InputError(
            f"source {settings.name!r}: access_key_id_env and secret_access_key_env belong together; give both"
        )
    endpoint = options.get("endpoint_url")
    config = Config(
        connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, retries={"mode": "standard", "total_max_attempts": 2},
        user_agent_extra="percall", s3={"addressing_style": "path"} if endpoint else None,
        request_checksum_calculation="when_required", response_checksum_validation="when_required",
    )  # fmt: skip

    def make() -> Any:
        with translated(settings, "finding the credentials"):
            return _client(settings, service, key, secret, region, config)

    return attempts(make, f"{settings.name}: finding the credentials", lambda _message, _share: None, settings.patience)


def _client(
    settings: SourceSettings, service: str, key: str | None, secret: str | None, region: str | None, config: Any
) -> Any:
    import boto3  # type: ignore[import-untyped]

    options = settings.options
    session = boto3.Session(
        aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=settings.secret("session_token_env"),
        profile_name=options.get("profile"), region_name=options.get("region"),
    )  # fmt: skip
    region_name = session.region_name or region or "us-east-1"
    role = options.get("role_arn")
    if role:
        session = _assumed(session, settings, role, region_name, config)
    return session.client(service, region_name=region_name, endpoint_url=options.get("endpoint_url"), config=config)


def _assumed(session: Any, settings: SourceSettings, role: str, region: str, config: Any) -> Any:
    import boto3

    sts = session.client("sts", region_name=region, endpoint_url=settings.options.get("endpoint_url"), config=config)
    more = {"ExternalId": settings.options["external_id"]} if settings.options.get("external_id") else {}
    with translated(settings, f"assuming the role {role}", f"sts:AssumeRole on {role}, and the role must trust you"):
        found = sts.assume_role(RoleArn=role, RoleSessionName="percall", **more)["Credentials"]
    for name in ("SecretAccessKey", "SessionToken"):
        settings.secrets.hide(f"{name} of {role}", found[name])
    return boto3.Session(
        aws_access_key_id=found["AccessKeyId"], aws_secret_access_key=found["SecretAccessKey"], aws_session_token=found["SessionToken"],
        region_name=region,
    )  # fmt: skip


@contextmanager
def translated(settings: SourceSettings, doing: str, needed: str = "") -> Iterator[None]:
    """What boto3 raises in the block, as sentences: `doing` is what was tried, `needed` the permission that it takes.

    Raises Passing for what may pass by itself (see `connectors.live.requests.attempts`), SourceError for the rest.
    """
    from botocore import exceptions as aws  # type: ignore[import-untyped]

    name, line = settings.name, settings.secrets.line
    grant = f"; needed is {needed}" if needed else ""
    try:
        yield
    except aws.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
        said = settings.secrets.line(str(error.response.get("Error", {}).get("Message", "")))
        told = f" ({code}: {said})" if said and said != code else f" ({code})"
        if code in _EXPIRED:
            raise SourceError(
                f"{name}: {doing}: the credentials have expired{told}; sign in again or renew them"
            ) from error
        if code in _WRONG_KEY:
            raise SourceError(
                f"{name}: {doing}: AWS does not know these credentials{told}; check the access key and its secret"
            ) from error
        if code in _FORBIDDEN or status == 403:
            raise SourceError(f"{name}: {doing}: not allowed{told}{grant}") from error
        if code in _PASSING or status >= 500 or status == 429:
            raise Passing(f"AWS is disturbed or asked too often{told}") from error
        raise SourceError(f"{name}: {doing}: refused{told}") from error
    except (
        aws.NoCredentialsError,
        aws.PartialCredentialsError,
        aws.CredentialRetrievalError,
        aws.TokenRetrievalError,
    ) as error:
        raise SourceError(
            f"{name}: {doing}: no usable AWS credentials ({line(str(error))}): set AWS_PROFILE, an access key in the environment, or give the "
            "machine a role"
        ) from error
    except aws.ProfileNotFound as error:
        raise SourceError(f"{name}: {doing}: {line(str(error))}; see ~/.aws/config") from error
    except (aws.ConnectionError, aws.HTTPClientError, aws.IncompleteReadError, aws.ResponseStreamingError) as error:
        raise Passing(f"the connection failed ({line(str(error))})") from error
    except aws.BotoCoreError as error:
        raise SourceError(settings.secrets.masked(f"{name}: {doing}: {line(str(error))}")) from error


def finding(doing: str, error: Exception, needed: str) -> Finding:
    """What `percall doctor` says about something that AWS refused."""
    return problem(doing, error, f"grant {needed}" if needed else "")
