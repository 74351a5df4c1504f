"""Keys and certificates of one test control plane, signed by an authority of its own.

Everything lies in one folder that only its owner may enter. Loading the same folder again gives the same
authority, so that a running control plane can be used by another process. The authority is good for nothing
else: it is made anew for each control plane and is trusted only by that one's kubeconfigs.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = dt.timedelta(days=365)
_CLOCK_SKEW = dt.timedelta(days=1)
"""By which a clock may be behind and still take the certificates, as it takes those of a cluster that is older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """The PEM files of one certificate and its private key."""

    certificate: Path
    key: Path


class CertificateAuthority:
    """Signs serving and client certificates; creates itself in `folder` unless it is there already."""

    def __init__(self, folder: Path) -> None:
        """Loads the authority from `folder`, or creates it there."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._pair = KeyPair(certificate=folder / "ca.crt", key=folder / "ca.key")
        if not self._pair.certificate.exists():
            self._create()
        self._certificate = x509.load_pem_x509_certificate(self._pair.certificate.read_bytes())
        key = serialization.load_pem_private_key(self._pair.key.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{self._pair.key} holds no elliptic-curve key: remove {folder}")
        self._key = key

    @property
    def certificate(self) -> Path:
        """PEM file of the authority's own certificate."""
        return self._pair.certificate

    @property
    def pair(self) -> KeyPair:
        """PEM files of the authority; the controller manager signs certificate requests with its key."""
        return self._pair

    def serving(self, name: str, *, dns_names: Sequence[str], addresses: Sequence[str]) -> KeyPair:
        """Returns a certificate for a server under these names; one that also serves as client for etcd."""
        names: list[x509.GeneralName] = [x509.DNSName(each) for each in dns_names]
        names += [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._issue(name, subject=subject, usages=usages, names=names)

    def client(self, user: str, *, groups: Sequence[str] = ()) -> KeyPair:
        """Returns a client certificate that Kubernetes reads as `user` in `groups`."""
        subject = x509.Name(
            [
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
                x509.NameAttribute(NameOID.COMMON_NAME, user),
            ]
        )
        # User names hold colons and slashes; the same user may come with other groups.
        digest = hashlib.sha256("\0".join([user, *groups]).encode()).hexdigest()[:12]
        readable = "".join(c if c.isalnum() else "-" for c in user)[:40]
        return self._issue(f"{readable}-{digest}", subject=subject, usages=[ExtendedKeyUsageOID.CLIENT_AUTH])

    def signing_key(self, name: str) -> KeyPair:
        """Returns a bare key for signing ServiceAccount tokens; `certificate` is the public key's PEM."""
        pair = KeyPair(certificate=self._folder / f"{name}.pub", key=self._folder / f"{name}.key")
        if not pair.key.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            public = key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            pair.certificate.write_bytes(public)
            _write_key(pair.key, key=key)
        return pair

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lazaretto-test-ca")])
        certificate = (
            _builder(subject=name, issuer=name, public_key=key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write_key(self._pair.key, key=key)
        self._pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _issue(
        self,
        file_name: str,
        *,
        subject: x509.Name,
        usages: Sequence[x509.ObjectIdentifier],
        names: Sequence[x509.GeneralName] = (),
    ) -> KeyPair:
        pair = KeyPair(
            certificate=self._folder / f"{file_name}.crt",
            key=self._folder / f"{file_name}.key",
        )
        if pair.certificate.exists():
            return pair
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(subject=subject, issuer=self._certificate.subject, public_key=key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            # Python's ssl checks strictly from 3.13 on and wants the authority's key named.
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        _write_key(pair.key, key=key)
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return pair


def _builder(
    *, subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=False,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(path: Path, *, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
