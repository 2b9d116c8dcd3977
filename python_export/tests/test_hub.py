"""Models on the Hub, from a small server on this machine that answers as the Hub does."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from python_export import hub, tiny
from python_export.tests.test_weights import assert_same_tensors, write
from python_export.weights import WeightsError, read_encoder

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ID = "someone/tiny-bert"


class Hub(BaseHTTPRequestHandler):
    """Shows the files of `folder` as the model `ID` with one commit and the branch `main`."""

    folder: Path
    asked: list

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(with_body=False)

    def do_GET(self):
        self._answer(with_body=True)

    def _answer(self, with_body):
        path = self.path.partition("?")[0]
        self.asked.append(path)
        known = f"/api/models/{ID}"
        if path == known or path in (f"{known}/revision/main", f"{known}/revision/{COMMIT}"):
            files = [{"rfilename": path.name} for path in sorted(self.folder.iterdir())]
            info = {"id": ID, "modelId": ID, "sha": COMMIT, "siblings": files}
            self._send(json.dumps(info).encode(), with_body, {"Content-Type": "application/json"})
        elif path.startswith(f"{known}/revision/"):
            self._fail("RevisionNotFound")
        elif path.startswith(f"{known}/tree/"):
            files = [
                {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": _etag(f)}
                for f in sorted(self.folder.iterdir())
            ]
            content = json.dumps(files).encode()
            self._send(content, with_body, {"Content-Type": "application/json"})
        elif path.startswith(f"/{ID}/resolve/{COMMIT}/"):
            file = self.folder / path.rpartition("/")[2]
            if file.exists():
                headers = {"ETag": f'"{_etag(file)}"', "X-Repo-Commit": COMMIT}
                self._send(file.read_bytes(), with_body, headers)
            else:
                self._fail("EntryNotFound")
        else:
            self._fail("RepoNotFound")

    def _send(self, content, with_body, headers):
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def _fail(self, code):
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _etag(path):
    return hashlib.sha1(path.read_bytes()).hexdigest()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """The class of the running server; the cache is an empty folder, and the folder that it shows
    holds `tiny` with weights in two forms."""
    constants = pytest.importorskip("huggingface_hub.constants")
    folder = tmp_path / "repository"
    write(folder)
    (folder / "pytorch_model.bin").write_bytes(b"not read")
    handler = type("Served", (Hub,), {"folder": folder, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        endpoint + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))

    def stop():
        server.shutdown()
        server.server_close()

    handler.stop = stop
    yield handler
    stop()


@pytest.mark.parametrize("revision", ["", "@main", f"@{COMMIT}"])
def test_a_model_on_the_hub_reads_as_its_folder_and_one_form_of_weights_is_fetched(
    served, revision
):
    checkpoint = read_encoder(f"{ID}{revision}")
    assert checkpoint.name == "tiny-bert"
    assert_same_tensors(checkpoint.tensors, tiny.tensors(0))
    assert any(path.endswith("model.safetensors") for path in served.asked)
    assert not any(path.endswith("pytorch_model.bin") for path in served.asked)


def test_what_is_in_the_cache_needs_no_network(served):
    first = read_encoder(ID)
    served.stop()
    assert read_encoder(ID).sha256 == first.sha256


def test_a_model_and_a_revision_that_do_not_exist_are_named(served):
    with pytest.raises(WeightsError, match="`someone/other` is neither a folder nor a model"):
        read_encoder("someone/other")
    with pytest.raises(WeightsError, match=f"`{ID}` has no revision `v9`"):
        read_encoder(f"{ID}@v9")


def test_without_network_the_cache_is_named(served, monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"not in the cache .*/cache, and could not be fetched"):
        read_encoder(ID)


def test_without_its_package_the_command_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(WeightsError, match="hint: pip install huggingface_hub"):
        read_encoder(ID)


def test_what_is_no_hub_id_is_none():
    assert hub.is_hub_id("google-bert/bert-base-cased@v1.0")
    for other in ("bert-base-cased", "a/b/c", "a/b@", "../b c", "a b/c", ""):
        assert not hub.is_hub_id(other), other
