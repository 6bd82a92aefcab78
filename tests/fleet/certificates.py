"""A CA of the tests' own, and certificates of it."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_DAY = datetime.timedelta(days=1)
_PEM = serialization.Encoding.PEM


class Authority:
    """Signs certificates; everything lies in PEM files of a folder."""

    def __init__(self, folder: Path, name: str = "ours") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        whole = self._certificate(self._name, self._key, None, _DAY)
        self.file = folder / f"{name}.ca.pem"
        self.file.write_bytes(whole.public_bytes(_PEM))

    def signed(self, host: str, days: int = 1) -> tuple[Path, Path]:
        """Files of a certificate for a host and of its key; it expires after so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
        certificate = self._certificate(name, key, host, days * _DAY)
        files = self._folder / f"{host}.{days}.pem", self._folder / f"{host}.{days}.key"
        files[0].write_bytes(certificate.public_bytes(_PEM))
        private = key.private_bytes(
            _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        files[1].write_bytes(private)
        return files

    def context(self, host: str, days: int = 1) -> ssl.SSLContext:
        """What a server of that host speaks TLS with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.signed(host, days))
        return context

    def _certificate(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        host: str | None,
        life: datetime.timedelta,
    ) -> x509.Certificate:
        """For a host, or with None that of this authority itself."""
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 9 * _DAY)
            .not_valid_after(now + life)
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        # Python 3.13 and newer want these.
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        made = made.add_extension(own, critical=False).add_extension(signer, critical=False)
        if host is not None:
            names = x509.SubjectAlternativeName([x509.DNSName(host)])
            return made.add_extension(names, critical=False).sign(self._key, hashes.SHA256())
        unused = dict.fromkeys(
            (
                *("digital_signature", "content_commitment", "key_encipherment", "key_agreement"),
                *("data_encipherment", "crl_sign", "encipher_only", "decipher_only"),
            ),
            False,
        )
        use = x509.KeyUsage(key_cert_sign=True, **unused)
        return made.add_extension(use, critical=True).sign(self._key, hashes.SHA256())
