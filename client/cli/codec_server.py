"""`apprentice codec-server`: Temporal's Web UI and command line read encrypted payloads through it."""

import os
from typing import Annotated

import typer

from apprentice.config import load_temporal
from apprentice.settings import TemporalSettings
from client.cli import options
from client.cli.output import Failed, show
from client.payloads import converter_of

# The Web UI of a dev server, of ours, and of docker-compose.yml; a browser's origin is whichever host was typed.
WEB_UI = [f"http://{host}:{port}" for port in (8233, 8080) for host in ("localhost", "127.0.0.1")]


def codec_server(
    config: options.Config = options.DEFAULT_CONFIG,
    host: Annotated[str, typer.Option(help="Address to listen on; beyond this machine only behind TLS.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8081,
    web_ui: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Where the Web UI is served from; may be given again. Default: this machine."),
    ] = None,
) -> None:
    """Serve /encode, /decode and /download with the keys and the storage of the configuration, until Ctrl-C.

    Who asks has to know the token in the environment variable that `temporal.codec_token_env` names: the command line
    shows it with `temporal --codec-endpoint http://HOST:PORT --codec-auth "Bearer TOKEN"`; for the Web UI open this
    server's page once, enter the token, and let the UI's codec settings include cross-origin credentials.
    """
    settings = load_temporal(config, os.environ)
    token = _token(settings)
    try:
        import uvicorn

        from client.payloads.codec_server import codec_app
    except ImportError:
        raise Failed("`apprentice codec-server` needs its extra: pip install 'apprentice[codec-server]'") from None
    origins = [url.rstrip("/") for url in web_ui or WEB_UI]
    app = codec_app(converter_of(settings, os.environ), token, origins)
    show(f"codec server on http://{host}:{port} for {', '.join(origins)}; Ctrl-C stops it")
    # No access log: the requests are somebody's reading of personal data, their paths say nothing.
    server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning", access_log=False))
    try:
        server.run()
    except SystemExit:
        raise Failed(f"port {port} is in use or cannot be opened; choose another with --port", 3) from None


def _token(settings: TemporalSettings) -> str:
    if settings.codec_token_env is None:
        raise Failed(
            "the codec server needs `temporal.codec_token_env` in the configuration, naming an environment variable "
            "with a token of 16 characters or more: whoever knows it can read all payloads"
        )
    return os.environ[settings.codec_token_env].strip()
