"""TLS for the DICOM port: our certificate, and whose certificates senders must show."""

from __future__ import annotations

import ssl

from qa_daemon.site.dicom_settings import Dicom
from qa_daemon.site.site import Site, SiteError


def tls_context(site: Site, dicom: Dicom) -> ssl.SSLContext | None:
    """TLS 1.2 or newer, after the profile of DICOM PS3.15 B.9; None where the site asks for none.

    Raises `SiteError` that names the key whose file cannot be used.
    """
    if dicom.certificate_file is None or dicom.key_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(
            site.resolve(dicom.certificate_file), site.resolve(dicom.key_file), _no_password
        )
    except (OSError, ValueError) as why:
        raise SiteError(
            f"{site.path}: dicom.certificate_file, dicom.key_file: cannot be used "
            f"({_reason(why)}): both must be PEM, belong together and be readable by the service, "
            "the key without a password"
        ) from None
    if dicom.client_ca_file is not None:
        try:
            context.load_verify_locations(site.resolve(dicom.client_ca_file))
        except (OSError, ValueError) as why:
            raise SiteError(
                f"{site.path}: dicom.client_ca_file: cannot be used ({_reason(why)}): it must be "
                "PEM and readable by the service"
            ) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_password() -> str:
    """Else the library would ask on the terminal and wait."""
    raise ValueError("a password is needed")


def _reason(why: Exception) -> str:
    if isinstance(why, ssl.SSLError):
        return str(why.reason or "not PEM")
    return str(why.strerror) if isinstance(why, OSError) else str(why)
