"""HTTPS as a client sees it."""

import ssl


def shown_certificate(port: int) -> bytes:
    """Return the certificate that a port of this machine presents, in DER."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
