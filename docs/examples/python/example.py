"""Every call of axis_client, one a subcommand; README.md shows them in order.

    AXIS_SERVER                 http://HOST:PORT or https://HOST:PORT
    AXIS_SYSTEM, AXIS_KEY       who calls, by key; or
    AXIS_CERT, AXIS_CERT_KEY    who calls, by certificate (PEM files)
    AXIS_CA                     the authority of the axis's certificate (PEM file)
"""

import argparse
import base64
import os
import sys
from pathlib import Path

from google.protobuf.json_format import MessageToJson

import axis_client
from axis_client import AxisError, CannotRead, Refused, Unreachable


def sample(number, size, file):
    """Writes a package with an attachment of so many bytes, to have something to send."""
    template = Path(__file__).resolve().parent.parent / "template.edxml"
    attachment = base64.b64encode(bytes(range(256)) * (size // 256 + 1))[: size // 3 * 4]
    package = template.read_bytes().replace(b"@NUMBER@", number.encode())
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(package.replace(b"@ATTACHMENT@", attachment))
    print(f"Đã ghi (written): {file}, {file.stat().st_size} byte")


def push(axis, file):
    """Sends a package of at most 4 MiB."""
    keep_receipt(file, axis.push(Path(file).read_bytes()))


def stream(axis, file):
    """Sends a package of any size, in chunks."""
    keep_receipt(file, axis.push_file(file))


def keep_receipt(file, receipt):
    """The receipt is the proof that the axis has the package: it is kept beside the package."""
    path = Path(f"{file}.receipt.json")
    text = MessageToJson(receipt, preserving_proto_field_name=True, ensure_ascii=False)
    with open(f"{path}.part", "w", encoding="utf-8") as part:
        part.write(text + "\n")
        axis_client.keep(part, path)
    again = ", đã có từ trước (a duplicate)" if receipt.duplicate else ""
    print(f"Trục đã nhận (accepted): {file}{again}")
    print(f"  gói tin (package) {receipt.package_id}, SHA-256 {receipt.sha256}")
    for receiver in receipt.receivers:
        print(f"  → {receiver.agency.code} {receiver.agency.name}")
    for warning in receipt.warnings:
        print(f"  ! {warning.code} {warning.path}: {warning.message} ({warning.message_en})")
    print(f"  biên nhận (receipt) {path}")


def show_delivery(header, path):
    """What a document system does here: bring the file in, unless it has this delivery id."""
    if header.size == 0:
        raise CannotRead("empty")
    if header.HasField("status"):
        about = f"trạng thái (status) {header.status.code} {header.status.label}"
        about += f" của (of) {header.status.document_id}"
    else:
        about = f"văn bản (document) {header.document.number}/{header.document.notation}"
    again = ", gửi lại (redelivered)" if header.redelivered else ""
    print(f"Nhận (received): {about}{again}")
    print(f"  từ (from) {header.sender.code} {header.sender.name}, {header.size} byte")
    print(f"  tệp (file) {path}")


def subscribe(axis, folder, follow):
    """Takes what waits and, with --follow, what comes."""
    taken = axis.subscribe(folder, show_delivery, follow=follow)
    print(f"Hết (nothing more waits); đã nhận (taken): {taken}")


def fetch(axis, folder):
    """Takes what waits, without an open stream: for a program that runs every few minutes."""
    taken = axis.fetch(folder, show_delivery)
    print(f"Hết (nothing more waits); đã nhận (taken): {taken}")


def report(axis, code, document_id, to, reason):
    """Reports a status of a document to its sender."""
    receipt = axis.report(code, document_id, to, reason)
    print(f"Đã báo trạng thái (reported): {code} của (of) {document_id}")
    print(f"  gói tin (package) {receipt.package_id} → {receipt.receivers[0].agency.code}")


def cells(axis, sender, document_id):
    """Shows where a document stands at each of its receivers."""
    for cell in axis.cells(sender, document_id):
        print(f"{cell.receiver.code} {cell.receiver.name}: {cell.status} {cell.status_label}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def command(call, *arguments):
        sub = commands.add_parser(call.__name__, help=call.__doc__)
        sub.set_defaults(call=call)
        for name, options in arguments:
            sub.add_argument(name, **options)

    command(sample, ("number", {}), ("size", {"type": int}), ("file", {}))
    command(push, ("file", {}))
    command(stream, ("file", {}))
    command(subscribe, ("folder", {}), ("--follow", {"action": "store_true"}))
    command(fetch, ("folder", {}))
    reason = ("reason", {"nargs": "?", "default": ""})
    command(report, ("code", {}), ("document_id", {}), ("to", {}), reason)
    command(cells, ("sender", {}), ("document_id", {}))
    arguments = vars(parser.parse_args())
    call = arguments.pop("call")
    if arguments.pop("command") == "sample":
        return call(**arguments)

    environment = os.environ.get
    server = environment("AXIS_SERVER") or parser.error("AXIS_SERVER is not set")
    with axis_client.connect(
        server,
        system=environment("AXIS_SYSTEM"),
        key=environment("AXIS_KEY"),
        ca=environment("AXIS_CA"),
        cert=environment("AXIS_CERT"),
        cert_key=environment("AXIS_CERT_KEY"),
    ) as axis:
        return call(axis, **arguments)


def tell(refused):
    """Everything that the axis says about a refusal."""
    print(f"Trục từ chối (refused): {refused.name}", file=sys.stderr)
    print(f"  {refused.vietnamese}\n  {refused.english}", file=sys.stderr)
    for fault in refused.faults:
        print(f"  - {fault.code} {fault.path}: {fault.english}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        tell(refused)
        sys.exit(1)
    except Unreachable as problem:
        print(f"Không liên lạc được với trục (unreachable): {problem}", file=sys.stderr)
        sys.exit(3)
    except AxisError as problem:
        print(f"axis: {problem}", file=sys.stderr)
        sys.exit(1)
