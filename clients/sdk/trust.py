"""Which server's certificate is taken for the server's."""

from __future__ import annotations

import ssl
from pathlib import Path

Trust = bool | ssl.SSLContext
"""True: what the machine's certificate authorities vouch for; False: anything; or a context's own rule."""


def trust_only(ca: Path) -> ssl.SSLContext:
    """Trust what ``ca`` vouches for and nothing else; host names are checked.

    :param ca: PEM file of authorities, or of one self-signed server certificate.
    :raises OSError: it cannot be read, or holds no certificate (`ssl.SSLError`).
    """
    return ssl.create_default_context(cafile=str(ca))


def is_untrusted(problem: BaseException | None) -> bool:
    """Whether ``problem``, or what it was raised from, is a certificate that was not taken."""
    seen: set[int] = set()
    while problem is not None and id(problem) not in seen:
        if isinstance(problem, ssl.SSLCertVerificationError):
            return True
        seen.add(id(problem))
        problem = problem.__cause__ or problem.__context__
    return False
