"""What clients outside meet: TLS 1.2 or later with the mounted certificate, HTTP/2, and no word of theirs believed."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.service.conftest import Deployment
from tests.service.parts import KEY, needed

pytestmark = pytest.mark.service


def _curl(deployment: Deployment, path: str, *options: str) -> tuple[str, str, str]:
    """Version of HTTP, status and body."""
    command = [needed("curl"), "--silent", "--show-error", "--max-time", "10", "--include", *options]
    command += ["--cacert", str(deployment.proxy.certificate), f"https://{deployment.proxy.tls}{path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    head, _, body = done.stdout.partition("\n\n")
    version, status = head.split()[:2]
    assert "strict-transport-security: max-age=31536000" in head
    return version, status, body


def _handshake(deployment: Deployment, context: ssl.SSLContext) -> tuple[str | None, str | None]:
    """The version of TLS and the protocol that the proxy agrees to."""
    host, _, port = deployment.proxy.tls.partition(":")
    plain = socket.create_connection((host, int(port)), timeout=10)
    with plain, context.wrap_socket(plain, server_hostname="localhost") as client:
        return client.version(), client.selected_alpn_protocol()


def _context(deployment: Deployment, lowest: ssl.TLSVersion, highest: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(deployment.proxy.certificate))
    context.set_ciphers("ALL:@SECLEVEL=0")  # this client would take the old versions
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.minimum_version, context.maximum_version = lowest, highest
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_from_1_2_on_and_http_2(deployment: Deployment) -> None:
    versions = ssl.TLSVersion
    for version, name in ((versions.TLSv1_2, "TLSv1.2"), (versions.TLSv1_3, "TLSv1.3")):
        assert _handshake(deployment, _context(deployment, version, version)) == (name, "h2")
    for version in (versions.TLSv1, versions.TLSv1_1):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            _handshake(deployment, _context(deployment, version, version))


@pytest.mark.parametrize(("option", "version"), [("--http2", "HTTP/2"), ("--http1.1", "HTTP/1.1")])
def test_lists_and_feedback_come_through(deployment: Deployment, option: str, version: str) -> None:
    key = ["--header", f"X-API-Key: {KEY}"]
    path = f"/v1/users/{deployment.users[0]}/recommendations?k=5"
    found, status, body = _curl(deployment, path, option, *key)
    assert (found, status, len(json.loads(body)["items"])) == (version, "200", 5)
    event = {"event_id": f"by tls {option}", "user_id": "u", "item_id": deployment.items[0], "event": "view"}
    sent = [*key, "--header", "Content-Type: application/json", "--data", json.dumps([event])]
    assert _curl(deployment, "/v1/feedback", option, *sent)[1] == "202"
    assert _curl(deployment, path, option)[1] == "401"
    assert _curl(deployment, "/metrics", option, *key)[1] == "404"


def test_a_client_cannot_say_that_it_is_somebody_else(deployment: Deployment, tmp_path: Path) -> None:
    """400 requests of one connection, each with another address in its header: the limit of one address holds."""
    urls = "".join(f"url = https://{deployment.proxy.tls}/healthz\noutput = {tmp_path}/{n}\n" for n in range(400))
    config = tmp_path / "config"
    config.write_text(f"cacert = {deployment.proxy.certificate}\n{urls}")
    options = ["--header", "X-Forwarded-For: 198.51.100.7", "--write-out", "%{http_code}\n"]
    command = [needed("curl"), "--silent", "--config", str(config), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    statuses = done.stdout.split()
    assert set(statuses) == {"200", "429"}
    # and the address is limited, not the one that it named
    named = _plain(deployment, "198.51.100.7")
    assert named == 200


def _plain(deployment: Deployment, address: str) -> int:
    """The status of a request at the port for who ends TLS in front, made for this address."""
    host, _, port = deployment.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(f"GET /healthz HTTP/1.0\r\nX-Forwarded-For: {address}\r\n\r\n".encode())
        return int(client.recv(65_536).split()[1])
