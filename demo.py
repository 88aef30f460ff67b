"""Drop photos on a page, and see what a model makes of them; all on this machine.

    python demo.py                          with the newest complete run in outputs/
    python demo.py --run outputs/<run>      with another one
    python demo.py --port 8080              at another address

It prints an address to open in a browser of this machine; no other machine can reach it. The page
loads nothing from elsewhere, sends nothing anywhere, and keeps no photo. Ctrl-C ends it.
"""

import argparse
import logging
import os
import socket
from pathlib import Path

from vision101.cli import ArgumentParser, add_output_argument, integer_from, run_script
from vision101.errors import UserError, shown_path
from vision101.finished_runs import list_runs

HOST = "127.0.0.1"  # this machine and no other
PORT = 8101


def main() -> None:
    arguments = parse_arguments()
    run_folder = arguments.run or list_runs(arguments.output_dir)[-1]
    try:
        from werkzeug.serving import make_server

        from vision101.demo import build_app
        from vision101.prediction import load_classifier
    except ModuleNotFoundError as error:
        raise UserError(
            f"needs the package {error.name}: pip install -r requirements-demo.txt"
        ) from error
    classifier = load_classifier(run_folder)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for every request
    with listen(arguments.port) as listener:
        port = listener.getsockname()[1]
        app = build_app(classifier)
        # Browsers open connections ahead of need, and each would keep a single thread waiting.
        server = make_server(HOST, port, app, threaded=True, fd=listener.fileno())
        print(f"Model: {shown_path(run_folder)}")
        print(
            f"Open http://{HOST}:{port} in a browser on this machine. Ctrl-C ends it.", flush=True
        )
        server.serve_forever()


def listen(port: int) -> socket.socket:
    """Return a socket that only this machine can connect to. Raises UserError where another program
    has the port, or the system keeps it for itself.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        reason = os.strerror(error.errno)
        raise UserError(f"--port {port}: {reason}; name another one, or 0 for any") from error


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument(
        "--run", type=Path, metavar="FOLDER", help="default: the newest complete one"
    )
    parser.add_argument(
        "--port", type=integer_from(0, 65535), default=PORT, metavar="N", help=f"default: {PORT}"
    )
    add_output_argument(parser, "where the newest run is looked for")
    return parser.parse_args()


if __name__ == "__main__":
    run_script(main)
