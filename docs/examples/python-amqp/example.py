"""Sends and receives over RabbitMQ; README.md shows it.

    AXIS_BROKER              amqp://USER:PASSWORD@HOST:PORT/VHOST
    AXIS_SYSTEM              the system's id
    AXIS_SERVER, AXIS_KEY    the axis's gRPC and the system's key, for content that is not inline
"""

import argparse
import base64
import os
import sys
from pathlib import Path

import grpc

import axis_amqp

sys.path.insert(0, str(Path(__file__).resolve().parent / "build"))  # made by protoc, see README.md
from axis.v1 import exchange_pb2 as messages  # noqa: E402
from axis.v1 import exchange_pb2_grpc  # noqa: E402


def sample(number, size, file):
    """Writes a package with an attachment of so many bytes, to have something to send."""
    template = Path(__file__).resolve().parent.parent / "template.edxml"
    attachment = base64.b64encode(bytes(range(256)) * (size // 256 + 1))[: size // 3 * 4]
    package = template.read_bytes().replace(b"@NUMBER@", number.encode())
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(package.replace(b"@ATTACHMENT@", attachment))
    print(f"Đã ghi (written): {file}, {file.stat().st_size} byte")


def send(axis, file):
    """Sends a package and waits for its receipt."""
    receipt = axis.send(Path(file).read_bytes())
    again = ", đã có từ trước (a duplicate)" if receipt["duplicate"] else ""
    print(f"Trục đã nhận (accepted): {file}{again}")
    print(f"  gói tin (package) {receipt['id']}, SHA-256 {receipt['sha256']}")
    for delivery in receipt["deliveries"]:
        print(f"  → {delivery['receiver']} {delivery['receiver_name']}")


def receive(axis, folder):
    """Takes what waits, to disk, and settles it."""

    def handle(headers, path):
        print(f"Nhận (received): {headers['axis-kind']} cho (for) {headers['axis-agency']}")
        print(f"  tệp (file) {path}, {headers['axis-size']} byte")

    print(f"Hết (nothing more waits); đã nhận (taken): {axis.receive(folder, handle)}")


def download(delivery_id, file):
    """The content of a delivery by gRPC."""
    who = (("axis-system", os.environ["AXIS_SYSTEM"]), ("axis-key", os.environ["AXIS_KEY"]))
    with grpc.insecure_channel(os.environ["AXIS_SERVER"].removeprefix("http://")) as channel:
        exchange = exchange_pb2_grpc.ExchangeServiceStub(channel)
        request = messages.DownloadRequest(delivery_id=delivery_id)
        for frame in exchange.Download(request, metadata=who, timeout=600):
            file.write(frame.chunk.data)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("sample", help=sample.__doc__)
    writing.add_argument("number")
    writing.add_argument("size", type=int)
    writing.add_argument("file")
    commands.add_parser("send", help=send.__doc__).add_argument("file")
    commands.add_parser("receive", help=receive.__doc__).add_argument("folder")
    arguments = parser.parse_args()
    if arguments.command == "sample":
        return sample(arguments.number, arguments.size, arguments.file)
    broker, system = os.environ["AXIS_BROKER"], os.environ["AXIS_SYSTEM"]
    with axis_amqp.connect(broker, system, download) as axis:
        if arguments.command == "send":
            return send(axis, arguments.file)
        return receive(axis, arguments.folder)


if __name__ == "__main__":
    try:
        main()
    except axis_amqp.Refused as refused:
        print(f"Trục từ chối (refused): {refused}", file=sys.stderr)
        for detail in refused.details:
            print(f"  - {detail['path']}: {detail['message_en']}", file=sys.stderr)
        sys.exit(1)
