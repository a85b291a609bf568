"""A document system on the axis's queues: receives, settles and sends over RabbitMQ.

    with connect("amqp://user:password@broker:5672/vhost", "so-tai-chinh", download) as axis:
        receipt = axis.send(package)             # durable at the axis when this returns
        axis.receive("inbox", handle)            # handle(headers, path) for each delivery

The rules are in docs/integration.md, "Over RabbitMQ". The one that matters most: write it durably,
settle it, and only then ack the message. An ack alone proves nothing to the axis.
"""

import hashlib
import json
import os
import time
import uuid
from pathlib import Path
from urllib.parse import quote

import pika

LANES = ("flash", "urgent", "status", "routine")
PREFETCH = 20  # messages of each queue that are held unacked
DEADLINE = 60  # seconds for an answer of the axis


class Refused(Exception):
    """The axis said no. `name` is one of the list in docs/errors.md and never changes."""

    def __init__(self, answer):
        super().__init__(f"{answer['name']}: {answer['message_en']}")
        self.name = answer["name"]
        self.retry_after_ms = answer["retry_after_ms"]
        self.details = answer["details"]


class Unanswered(Exception):
    """No answer came. Send the same again: the axis makes no double."""


class CannotRead(Exception):
    """Raised by a handler: this delivery can never be read. It is settled as failed."""


def user_of(system):
    """The user's name on the broker, which is also the routing key of what it sends."""
    return "axis.system." + quote(system, safe="-_~").replace(".", "%2E")


def connect(url, system, download):
    """Connects to the broker. `download(delivery_id, file)` writes a content that is not inline."""
    return Axis(pika.BlockingConnection(pika.URLParameters(url)), system, download)


class Axis:
    def __init__(self, connection, system, download):
        self.user = user_of(system)
        self.download = download
        self.connection = connection
        self.channel = connection.channel()
        self.channel.confirm_delivery()  # a publish returns when the broker has it, or raises
        self.channel.basic_qos(prefetch_count=PREFETCH)
        self.replies = self.channel.queue_declare("", exclusive=True).method.queue
        self.channel.basic_consume(self.replies, self._answered, auto_ack=True)
        self.answers = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def send(self, package, accept_known=False):
        """Sends one package; the receipt is true even if the power fails next."""
        headers = {"axis-accept-known": "true"} if accept_known else {}
        return self._ask("axis.ingress", package, headers)

    def settle(self, headers, outcome="acknowledged", reason=""):
        """Settles a delivery: only this, and no ack, tells the axis that it is durable."""
        letter = {
            "delivery": headers["axis-delivery"],
            "round": int(headers["axis-round"]),
            "sha256": headers["axis-sha256"],
            "outcome": outcome,
            "reason": reason,
        }
        return self._ask("axis.settle", json.dumps(letter).encode(), {})

    def receive(self, folder, handle, quiet=2.0):
        """Takes what comes, each to disk before it is settled; ends after `quiet` seconds of
        nothing. A program that stays passes `quiet=None`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        inbox = []
        tags = [
            self.channel.basic_consume(
                f"{self.user}.{lane}", lambda *message: inbox.append(message)
            )
            for lane in LANES
        ]
        taken = 0
        while True:
            until = None if quiet is None else time.monotonic() + quiet
            while not inbox and (until is None or time.monotonic() < until):
                self.connection.process_data_events(time_limit=0.2)
            if not inbox:
                break
            _, method, properties, body = inbox.pop(0)
            taken += self._take(folder, method, properties.headers, body, handle)
        for tag in tags:
            self.channel.basic_cancel(tag)
        return taken

    def _take(self, folder, method, headers, body, handle):
        path = folder / f"{headers['axis-delivery']}.edxml"
        is_new = not path.exists()
        try:
            if is_new:
                self._keep(path, headers, body)
                handle(headers, path)
            answer = self.settle(headers)
        except CannotRead as problem:
            answer = self.settle(headers, "failed", str(problem))
        except Refused as refused:
            # Recalled or settled meanwhile: the message says nothing more.
            if refused.name not in ("RECALLED", "WRONG_STATE"):
                raise
            path.unlink(missing_ok=True)
            answer = None
        self.channel.basic_ack(method.delivery_tag)
        return int(is_new and answer is not None)

    def _keep(self, path, headers, body):
        """On disk, whole and right, before anybody is told that it is there."""
        part = path.with_suffix(".part")
        with open(part, "wb") as file:
            if body:
                file.write(body)
            else:
                self.download(headers["axis-delivery"], file)
            file.flush()
            os.fsync(file.fileno())
        with open(part, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256 != headers["axis-sha256"]:
            part.unlink()
            raise OSError(f"{path}: the content is not what the axis accepted")
        os.replace(part, path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def _ask(self, exchange, body, headers):
        correlation = str(uuid.uuid4())
        properties = pika.BasicProperties(
            user_id=self.user,  # the broker checks it; without it nobody knows who sends
            delivery_mode=2,
            headers=headers,
            reply_to=self.replies,
            correlation_id=correlation,
        )
        self.channel.basic_publish(exchange, self.user, body, properties, mandatory=True)
        until = time.monotonic() + DEADLINE
        while correlation not in self.answers:
            if time.monotonic() > until:
                raise Unanswered(exchange)
            self.connection.process_data_events(time_limit=0.2)
        answer = self.answers.pop(correlation)
        if answer["outcome"] == "refused":
            raise Refused(answer)
        return answer

    def _answered(self, _channel, _method, properties, body):
        self.answers[properties.correlation_id] = json.loads(body)
