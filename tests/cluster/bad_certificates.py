"""Certificates that nobody should take: over, not begun, signed by nobody but themselves, or for another name."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.cluster.pki import CertificateAuthority, KeyPair

_DAY = dt.timedelta(days=1)
_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alertmanager")])
ADDRESS = "127.0.0.1"


def good(authority: CertificateAuthority) -> KeyPair:
    """The one that is to be taken, for comparison."""
    return authority.serving("good", dns_names=["good"], addresses=[ADDRESS])


def expired(authority: CertificateAuthority) -> KeyPair:
    """Of the right authority and name, and over since yesterday."""
    return _signed(authority, "expired", begins=-3 * _DAY, ends=-_DAY)


def not_begun(authority: CertificateAuthority) -> KeyPair:
    """Of the right authority and name, and good from tomorrow on."""
    return _signed(authority, "not-begun", begins=_DAY, ends=3 * _DAY)


def self_signed(authority: CertificateAuthority) -> KeyPair:
    """For the right name, and vouched for by itself alone."""
    return _signed(authority, "self-signed", begins=-_DAY, ends=_DAY, by_itself=True)


def of_another_authority(authority: CertificateAuthority) -> KeyPair:
    """For the right name, by an authority that calls itself the same."""
    other = CertificateAuthority(authority.certificate.parent / "another")
    return other.serving("good", dns_names=["good"], addresses=[ADDRESS])


def of_another_name(authority: CertificateAuthority) -> KeyPair:
    """Of the right authority, for somebody else."""
    return authority.serving("elsewhere", dns_names=["elsewhere"], addresses=["192.0.2.1"])


BAD = (expired, not_begun, self_signed, of_another_authority)
"""What is wrong whoever shows it."""


def _signed(
    authority: CertificateAuthority, name: str, *, begins: dt.timedelta, ends: dt.timedelta, by_itself: bool = False
) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    signer, issuer = _signer(authority) if not by_itself else (key, _NAME)
    now = dt.datetime.now(dt.UTC)
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ADDRESS))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(addresses, critical=False)
        # Python's ssl checks strictly from 3.13 on and wants the authority's key named.
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return _stored(authority.certificate.parent, name, certificate, key)


def _signer(authority: CertificateAuthority) -> tuple[ec.EllipticCurvePrivateKey, x509.Name]:
    key = serialization.load_pem_private_key(authority.pair.key.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key, x509.load_pem_x509_certificate(authority.certificate.read_bytes()).subject


def _stored(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    pair = KeyPair(certificate=folder / f"{name}.crt", key=folder / f"{name}.key")
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pair.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return pair
