"""What AWS's own signer makes of a request that ours has signed: the second opinion of these tests."""

import io
from datetime import UTC, datetime

from awscrt.auth import (
    AwsCredentialsProvider,
    AwsSignatureType,
    AwsSignedBodyHeaderType,
    AwsSigningAlgorithm,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.http import HttpHeaders, HttpRequest

_MADE_BY_THE_SIGNER = {"authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}
_SIGNED_AS_SENT = {"s3", "s3express", "s3-object-lambda", "s3-outposts"}


def expected(method, path, headers, body, *, key_id, secret, region, service):
    """The `Authorization` that a request with these headers (pairs) should have had, by its own date and choice."""
    given = {name.lower(): value for name, value in headers}
    chosen = given["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    told = given.get("x-amz-content-sha256")
    config = AwsSigningConfig(
        algorithm=AwsSigningAlgorithm.V4,
        signature_type=AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=AwsCredentialsProvider.new_static(key_id, secret, given.get("x-amz-security-token")),
        region=region,
        service=service,
        date=datetime.strptime(given["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
        should_sign_header=lambda name: name.lower() in chosen,
        use_double_uri_encode=service not in _SIGNED_AS_SENT,
        should_normalize_uri_path=service not in _SIGNED_AS_SENT,
        signed_body_value="UNSIGNED-PAYLOAD" if told == "UNSIGNED-PAYLOAD" else None,
        signed_body_header_type=AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256 if told else AwsSignedBodyHeaderType.NONE,
    )
    kept = [(name, value) for name, value in headers if name.lower() not in _MADE_BY_THE_SIGNER]
    request = HttpRequest(method, path, HttpHeaders(kept), io.BytesIO(body) if body else None)
    return aws_sign_request(request, config).result(10).headers.get("Authorization")
