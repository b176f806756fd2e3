"""Certificates, tokens and kubeconfigs of the test cluster.

The one rule: everything is random and made anew with each cluster; nothing that opens one is in
the repository.
"""

from __future__ import annotations

import base64
import json
import secrets
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.cluster.lab import places

CA = places.PKI / "ca.crt"
CA_KEY = places.PKI / "ca.key"
TOKENS = places.PKI / "tokens.csv"
SERVICE_ACCOUNT_KEY = places.PKI / "service-account.key"
SERVICE_ACCOUNT_PUBLIC_KEY = places.PKI / "service-account.pub"

# kubeconfig name -> user and groups; each signs in with a token of its own.
_USERS = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
    "dns": ("treadle:dns", ""),
    places.PRETEND: (f"system:node:{places.PRETEND}", "system:nodes"),
    places.REAL: (f"system:node:{places.REAL}", "system:nodes"),
}
_API_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


def kubeconfig(name: str) -> Path:
    """The kubeconfig of one of the cluster's users."""
    return places.KUBECONFIG if name == "admin" else places.PKI / f"{name}.kubeconfig"


def certificate(name: str) -> Path:
    """The certificate file of a server or client; its key lies beside it (`key`)."""
    return places.PKI / f"{name}.crt"


def key(name: str) -> Path:
    """The private key that belongs to `certificate(name)`."""
    return places.PKI / f"{name}.key"


def make() -> None:
    """Make everything, unless it is there already."""
    if places.KUBECONFIG.exists():
        return
    places.PKI.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca_key, ca = _authority()
    api_addresses = ("127.0.0.1", places.API_SERVICE_ADDRESS)
    _leaf("apiserver", ca, ca_key, "kube-apiserver", names=_API_NAMES, addresses=api_addresses)
    _leaf("kubelet-client", ca, ca_key, "apiserver-kubelet-client", group="system:masters")
    _leaf("front-proxy", ca, ca_key, "front-proxy-client")
    _leaf("kubelet", ca, ca_key, f"system:node:{places.REAL}", addresses=(places.BRIDGE_ADDRESS,))
    account_key = ec.generate_private_key(ec.SECP256R1())
    _write(SERVICE_ACCOUNT_KEY, _pem(account_key))
    SERVICE_ACCOUNT_PUBLIC_KEY.write_bytes(
        account_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    _sign_ins(ca)


def _sign_ins(ca: x509.Certificate) -> None:
    tokens = {name: secrets.token_hex(16) for name in _USERS}
    lines = [
        f'{tokens[name]},{user},{name},"{groups}"\n' for name, (user, groups) in _USERS.items()
    ]
    _write(TOKENS, "".join(lines).encode())
    authority = ca.public_bytes(serialization.Encoding.PEM)
    # The administrator's comes last: it is what `make` looks for.
    for name in reversed(_USERS):
        _write(kubeconfig(name), _kubeconfig(tokens[name], authority))


def _kubeconfig(token: str, authority: bytes) -> bytes:
    server = {
        "server": places.API,
        "certificate-authority-data": base64.b64encode(authority).decode(),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "treadle", "cluster": server}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": "treadle", "context": {"cluster": "treadle", "user": "user"}}],
        "current-context": "treadle",
    }
    # JSON is YAML, and needs no library.
    return json.dumps(config, indent=1).encode()


def _name(common: str, group: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if group:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    return x509.Name(parts)


def _builder(
    subject: x509.Name, issuer: x509.Name, key_: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key_)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365))
    )


def _authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    ca_key = ec.generate_private_key(ec.SECP256R1())
    subject = _name("treadle-test-cluster")
    ca = (
        _builder(subject, subject, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False
        )
        .add_extension(_usage(signs=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    _write(CA_KEY, _pem(ca_key))
    CA.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    return ca_key, ca


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _leaf(
    name: str,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    common: str,
    *,
    group: str = "",
    names: tuple[str, ...] = (),
    addresses: tuple[str, ...] = (),
) -> None:
    """Write a certificate for one program; with names or addresses it may serve as well."""
    own_key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = _builder(_name(common, group), ca.subject, own_key.public_key())
    if names or addresses:
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        alternatives: list[x509.GeneralName] = [x509.DNSName(each) for each in names]
        alternatives += [x509.IPAddress(ip_address(each)) for each in addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    issued = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(
            # Python 3.13 and later refuse a chain without it.
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )
    certificate(name).write_bytes(issued.public_bytes(serialization.Encoding.PEM))
    _write(key(name), _pem(own_key))


def _pem(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _write(file: Path, secret: bytes) -> None:
    file.touch(mode=0o600)
    file.write_bytes(secret)
