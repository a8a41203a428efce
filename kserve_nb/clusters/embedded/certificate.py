"""The API server's self-signed certificate. kubectl needs one, because it sends a token over TLS only."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kserve_nb.clusters import private_files
from kserve_nb.clusters.embedded.addresses import API_SERVER_IP, API_SERVER_NAMES


def make(folder: Path) -> tuple[Path, Path]:
    """Create a self-signed certificate for 127.0.0.1 and its key, as `tls.crt` and `tls.key` in the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kserve-nb")])
    now = datetime.now(UTC)
    loopback = x509.IPAddress(ipaddress.ip_address(API_SERVER_IP))
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([loopback, *map(x509.DNSName, API_SERVER_NAMES)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "tls.crt", folder / "tls.key"
    private_files.write(public, certificate.public_bytes(serialization.Encoding.PEM).decode())
    private_files.write(private, key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode())
    return public, private
