"""FFmpeg's WHIP muxer as a program of its own: argv = url, bearer token, whip_flags or "-".

A process of its own because the muxer holds Python's lock while it waits for the server.
"""

from __future__ import annotations

import datetime
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

FRAMES_PER_SECOND = 30
SECONDS = 60


def write_certificate(directory: Path) -> dict[str, str]:
    """FFmpeg's own certificate is on P-224, which OpenSSL refuses: give it one on P-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "device")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (directory / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (directory / "key.pem").write_bytes(pem)
    return {"cert_file": str(directory / "cert.pem"), "key_file": str(directory / "key.pem")}


def publish(url: str, token: str, flags: str, directory: Path) -> None:
    """Send a picture that changes until the server hangs up or the time is over."""
    options = {"authorization": token, **write_certificate(directory)}
    if flags != "-":
        options["whip_flags"] = flags
    with av.open(url, "w", format="whip", options=options) as container:
        video = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        video.options = {"profile": "baseline", "tune": "zerolatency", "preset": "ultrafast", "g": "15"}
        begun = time.monotonic()
        for number in range(SECONDS * FRAMES_PER_SECOND):
            picture = np.full((240, 320, 3), number * 2 % 255, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            for packet in video.encode(frame):
                container.mux(packet)
            time.sleep(max(0.0, begun + number / FRAMES_PER_SECOND - time.monotonic()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        publish(sys.argv[1], sys.argv[2], sys.argv[3], Path(place))
