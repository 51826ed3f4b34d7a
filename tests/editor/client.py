"""A client of a language server, by its protocol on standard streams (microsoft.github.io/language-server-protocol)."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SETTINGS = {
    "yaml": {
        "hover": True,
        "completion": True,
        "validate": True,
        "schemaStore": {"enable": False},
        "kubernetesCRDStore": {"enable": False},
    }
}


class Client:
    """A running server, and the documents that an editor has open in it."""

    def __init__(self, argv: Sequence[str], directory: Path) -> None:
        self._process = subprocess.Popen(argv, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._number = 0
        self._published: dict[str, list[dict[str, Any]]] = {}
        can = {"textDocument": {"hover": {"contentFormat": ["markdown"]}, "completion": {}, "publishDiagnostics": {}}}
        self.ask("initialize", {"processId": None, "rootUri": directory.as_uri(), "capabilities": can})
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": SETTINGS})

    def close(self) -> None:
        """End the server."""
        self._process.kill()
        self._process.communicate()

    def ask(self, method: str, parameters: object) -> Any:
        """The result of a request."""
        self._number += 1
        self._send({"id": self._number, "method": method, "params": parameters})
        while True:
            message = self._read()
            if message.get("id") == self._number and "method" not in message:
                assert "error" not in message, message
                return message.get("result")
            self._take(message)

    def open(self, place: Path, text: str) -> Document:
        """Open a document of this text; nothing is written."""
        self._tell(
            "textDocument/didOpen",
            {"textDocument": {"uri": place.as_uri(), "languageId": "yaml", "version": 1, "text": text}},
        )
        return Document(self, place.as_uri(), text)

    def mistakes(self, uri: str) -> list[str]:
        """The messages about a document, once the server has published them."""
        while uri not in self._published:
            self._take(self._read())
        return [each["message"] for each in self._published[uri]]

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("method") == "textDocument/publishDiagnostics":
            self._published[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "id" in message and "method" in message:  # a question to the editor
            asked = message["params"].get("items", []) if isinstance(message.get("params"), dict) else []
            answers = [SETTINGS.get(each.get("section", ""), {}) for each in asked]
            self._send(
                {"id": message["id"], "result": answers if message["method"] == "workspace/configuration" else None}
            )

    def _tell(self, method: str, parameters: object) -> None:
        self._send({"method": method, "params": parameters})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(data), data))
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        stream = self._process.stdout
        assert stream is not None
        length = 0
        while line := stream.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        assert length, "the server ended"
        found: dict[str, Any] = json.loads(stream.read(length))
        return found


class Document:
    """An open document."""

    def __init__(self, client: Client, uri: str, text: str) -> None:
        self._client, self.uri, self._text = client, uri, text

    def hover(self, text: str) -> str:
        """What is shown over the last place of a text."""
        found = self._client.ask("textDocument/hover", self._at(self._text.rindex(text)))
        return str(found["contents"]["value"]) if found else ""

    def completed(self) -> dict[str, str]:
        """The labels that are offered at the end, each with its kind or text."""
        found = self._client.ask("textDocument/completion", self._at(len(self._text)))
        items = found["items"] if isinstance(found, dict) else found or []
        return {each["label"]: each.get("insertText", "") for each in items}

    def mistakes(self) -> list[str]:
        """The server's messages about the document."""
        return self._client.mistakes(self.uri)

    def _at(self, offset: int) -> dict[str, Any]:
        before = self._text[:offset].split("\n")
        return {"textDocument": {"uri": self.uri}, "position": {"line": len(before) - 1, "character": len(before[-1])}}
