"""A client of the axis (axis.v1): small enough to be read, whole enough to be built on.

    axis = connect("https://axis.example:7401", ca="ca.pem", cert="me.pem", cert_key="me.key")
    receipt = axis.push(package)                  # durable at the axis when this returns
    axis.subscribe("inbox", handle)               # handle(header, path) for each delivery

Every call ends with an answer, with `Refused` (the axis said no, and why) or with `Unreachable`
(no answer came, so it is not known what happened). What is safe to send again is sent again by
itself, after the time that the axis asks for. One `Axis` may be used by several threads.
"""

import hashlib
import os
import queue
import random
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from google.rpc import status_pb2 as google_status

sys.path.insert(0, str(Path(__file__).resolve().parent / "build"))  # made by protoc, see README.md
from axis.v1 import exchange_pb2 as messages  # noqa: E402
from axis.v1 import exchange_pb2_grpc, status_pb2, status_pb2_grpc  # noqa: E402

PUSH_MAX = 4 << 20  # bytes that fit into one Push; larger packages go by push_file
CHUNK = 256 << 10
DEADLINE = 60  # seconds for a call that is no stream
STREAM_DEADLINE = 600  # seconds for one package sent or fetched in chunks

# A refusal after which it is not certain that nothing happened.
UNCERTAIN = {"OUTCOME_UNKNOWN", "INTERNAL"}


# ---------------------------------------------------------------- what can go wrong


class AxisError(Exception):
    """Anything that the axis, or the way to it, can do to a call."""


@dataclass
class Fault:
    """One thing that is wrong: which (code), where (path, "line:column text") and what."""

    code: str
    path: str
    english: str
    vietnamese: str


@dataclass(eq=False)
class Refused(AxisError):
    """The axis said no. `name` is one of the list in docs/errors.md and never changes."""

    name: str
    code: grpc.StatusCode
    vietnamese: str = ""
    english: str = ""
    faults: list = field(default_factory=list)
    omitted: int = 0  # faults for which the answer had no room
    retry_after: float | None = None  # seconds; None: sending the same again does not help

    def __str__(self):
        return f"{self.name}: {self.english}"


class Unreachable(AxisError):
    """No answer: not connected, cut off, or too late. The call may or may not have happened."""


class CannotRead(Exception):
    """Raised by a handler: this delivery can never be read. It is settled as failed."""


def problem_of(error):
    """The AxisError that a gRPC error tells."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            refused = _refusal(google_status.Status.FromString(value), error.code())
            if refused:
                return refused
    return Unreachable(f"{error.code().name}: {error.details()}")


def _refusal(status, code):
    refused = None
    texts, faults, retry = {}, [], None
    for detail in status.details:
        kind = detail.TypeName()
        if kind == "google.rpc.ErrorInfo":
            info = error_details_pb2.ErrorInfo.FromString(detail.value)
            if info.domain == "axis.v1":
                refused = Refused(info.reason, code, omitted=int(info.metadata.get("omitted", 0)))
        elif kind == "google.rpc.BadRequest":
            request = error_details_pb2.BadRequest.FromString(detail.value)
            for it in request.field_violations:
                faults.append(Fault(it.reason, it.field, it.description, it.localized_message.message))
        elif kind == "google.rpc.LocalizedMessage":
            text = error_details_pb2.LocalizedMessage.FromString(detail.value)
            texts[text.locale] = text.message
        elif kind == "google.rpc.RetryInfo":
            delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
            retry = delay.seconds + delay.nanos / 1e9
    if refused:
        refused.vietnamese, refused.english = texts.get("vi", ""), texts.get("en", "")
        refused.faults, refused.retry_after = faults, retry
    return refused


# ---------------------------------------------------------------- connecting


def connect(server, system=None, key=None, ca=None, cert=None, cert_key=None, attempts=5):
    """An `Axis` at `server`: http://HOST:PORT (the axis's own machine only) or https://HOST:PORT.

    Who calls is told by `system` and `key`, or by the files `cert` and `cert_key` (PEM). `ca` is
    the file with the authority of the axis's certificate. A call is tried `attempts` times.
    """
    scheme, _, address = server.partition("://")
    options = [
        # A stream on which nothing comes for long is asked whether it still lives.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    if scheme == "https":
        read = lambda path: Path(path).read_bytes() if path else None  # noqa: E731
        credentials = grpc.ssl_channel_credentials(read(ca), read(cert_key), read(cert))
        channel = grpc.secure_channel(address, credentials, options)
    elif scheme == "http":
        channel = grpc.insecure_channel(address, options)
    else:
        raise ValueError(f"{server} is no address: http://HOST:PORT or https://HOST:PORT")
    who = [("axis-system", system), ("axis-key", key)] if system and key else []
    return Axis(channel, who, attempts)


class Axis:
    """A connection to the axis, as one system. Made by `connect`; reconnects by itself."""

    def __init__(self, channel, who, attempts):
        self._channel, self._who, self._attempts = channel, who, attempts
        self._exchange = exchange_pb2_grpc.ExchangeServiceStub(channel)
        self._status = status_pb2_grpc.StatusServiceStub(channel)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._channel.close()

    def _again(self, call, repeatable=True):
        """Calls until it works. A call that is not `repeatable` is only made again when it is
        certain that the former one did nothing."""
        for attempt in range(1, self._attempts + 1):
            try:
                return call()
            except grpc.RpcError as error:
                problem = problem_of(error)
                if attempt == self._attempts or not _worth_repeating(problem, repeatable):
                    raise problem from error
                _wait(problem, attempt)

    # ------------------------------------------------------------ sending

    def push(self, package, accept_known=False):
        """Sends one package of at most 4 MiB; returns its Receipt. Sent again by itself if no
        answer came: the axis knows it by its bytes and makes no double."""
        request = messages.PushRequest(
            package=package, options=messages.PushOptions(accept_known=accept_known)
        )
        receipt = self._again(
            lambda: self._exchange.Push(request, timeout=DEADLINE, metadata=self._who)
        )
        return _same_bytes(receipt, hashlib.sha256(package).hexdigest())

    def push_file(self, path, accept_known=False):
        """The same for a file of any size, in chunks: it is never in memory as a whole."""
        sums = {}

        def chunks():
            sums["sha256"] = hashlib.sha256()  # anew with every attempt
            yield messages.PushStreamRequest(
                options=messages.PushOptions(accept_known=accept_known)
            )
            with open(path, "rb") as file:
                while chunk := file.read(CHUNK):
                    sums["sha256"].update(chunk)
                    yield messages.PushStreamRequest(chunk=chunk)

        os.stat(path)  # a missing file is told as such, not as a broken stream
        receipt = self._again(
            lambda: self._exchange.PushStream(
                chunks(), timeout=STREAM_DEADLINE, metadata=self._who
            )
        )
        return _same_bytes(receipt, sums["sha256"].hexdigest())

    # ------------------------------------------------------------ receiving

    def subscribe(self, folder, handle, credit=8, follow=False):
        """Takes deliveries as they come. Each is written durably into `folder`; then comes
        handle(header, path); only then is it settled. Returns how many were taken: when all that
        waited has been taken or, with `follow`, never.

        A delivery may come again (`header.redelivered`, or the connection broke before the settle
        arrived): `handle` must know one that it has, by `header.delivery_id`. If `handle` raises
        CannotRead(reason) the delivery is settled as failed; any other exception ends the
        subscription, and what is not settled is offered again.
        """
        taken, attempt = 0, 0
        while True:
            stream = _Stream(self._exchange, self._who, credit)
            try:
                for header, path in stream.deliveries(Inbox(folder), follow):
                    attempt = 0
                    stream.settle(_outcome(handle, header, path))
                    taken += 1
                return taken
            except grpc.RpcError as error:
                problem, attempt = problem_of(error), attempt + 1
                patient = follow or attempt < self._attempts
                if not patient or not _worth_repeating(problem, repeatable=True):
                    raise problem from error
                _wait(problem, attempt)
            finally:
                stream.close()

    def fetch(self, folder, handle, max_deliveries=10):
        """Takes up to `max_deliveries` of what waits now (at most 100), as `subscribe` does.
        Returns how many were taken; 0 means that nothing waits."""
        inbox, whole = Inbox(folder), {}

        def call():
            request = messages.FetchRequest(max_deliveries=max_deliveries)
            frames = self._exchange.Fetch(request, timeout=STREAM_DEADLINE, metadata=self._who)
            for frame in frames:
                if arrived := inbox.take(frame):
                    whole[arrived[0].delivery_id] = arrived

        self._again(call)
        # Ours for 5 minutes from now; longer work asks for more with `extend`.
        for header, path in whole.values():
            self.settle(_outcome(handle, header, path))
        return len(whole)

    def settle(self, request):
        """Settles by a call of its own. Doing it twice changes nothing (`changed` is false)."""
        return self._again(
            lambda: self._exchange.Settle(request, timeout=DEADLINE, metadata=self._who)
        )

    def extend(self, delivery_id):
        """Keeps a fetched delivery for another 5 minutes; returns until when."""
        request = messages.ExtendRequest(delivery_id=delivery_id)
        answer = self._again(
            lambda: self._exchange.Extend(request, timeout=DEADLINE, metadata=self._who)
        )
        return answer.leased_until

    # ------------------------------------------------------------ statuses

    def report(self, code, document_id, to, reason="", sender=None):
        """Reports a status ("01" to "16") of a document to agency `to`; returns the Receipt of the
        status package that the axis built. `sender` is needed if the system has several agencies.

        The axis writes the time into the package, so a second report is a second package: after
        Unreachable look at `cells` before reporting again.
        """
        request = status_pb2.ReportRequest(
            code=code, document_id=document_id, to=to, reason=reason, **{"from": sender}
        )
        return self._again(
            lambda: self._status.Report(request, timeout=DEADLINE, metadata=self._who),
            repeatable=False,
        )

    def cells(self, sender, document_id):
        """The state of a document at each of its receivers."""
        request = status_pb2.MatrixRequest(sender=sender, document_id=document_id)
        answer = self._again(
            lambda: self._status.Matrix(request, timeout=DEADLINE, metadata=self._who)
        )
        return answer.cells


# ---------------------------------------------------------------- one stream of deliveries


class _Stream:
    """Deliveries and settles on one gRPC stream. At most `credit` deliveries are unsettled."""

    def __init__(self, exchange, who, credit):
        self._outgoing = queue.SimpleQueue()
        self._unsettled = set()
        self._outgoing.put(
            messages.SubscribeRequest(open=messages.SubscribeRequest.Open(credit=credit))
        )
        # `iter(get, None)`: the requests end when None is put.
        self._incoming = exchange.Subscribe(iter(self._outgoing.get, None), metadata=who)

    def deliveries(self, inbox, follow):
        caught_up = False
        for response in self._incoming:
            what = response.WhichOneof("response")
            if what == "frame":
                if arrived := inbox.take(response.frame):
                    self._unsettled.add(arrived[0].delivery_id)
                    yield arrived
            elif what == "caught_up":
                caught_up = True
            elif what == "settled":
                self._answered(response.settled.delivery_id)
            elif what == "settle_refused":
                # Recalled meanwhile, for one: it will not be offered again, the rest goes on.
                refused = response.settle_refused
                print(f"{refused.delivery_id}: {refused.reason} {refused.message}", file=sys.stderr)
                self._answered(refused.delivery_id)
            if caught_up and not self._unsettled and not follow:
                return

    def settle(self, request):
        self._outgoing.put(messages.SubscribeRequest(settle=request))

    def _answered(self, delivery_id):
        self._unsettled.discard(delivery_id)
        self._outgoing.put(messages.SubscribeRequest(credit=1))  # ready for one more

    def close(self):
        self._outgoing.put(None)
        self._incoming.cancel()


class Inbox:
    """A folder into which deliveries are written. A file with its final name is whole, has the
    announced SHA-256 and is durable; its name is the delivery's id."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._header = self._part = self._sum = None

    def take(self, frame):
        """Takes a frame; (header, path) when a delivery is complete."""
        if frame.HasField("header"):
            self._header, self._sum = frame.header, hashlib.sha256()
            name = str(uuid.UUID(frame.header.delivery_id))  # nothing else becomes a file name
            self._path = self._folder / f"{name}.edxml"
            self._part = open(self._folder / f"{name}.part", "wb")
            return None
        self._part.write(frame.chunk.data)
        self._sum.update(frame.chunk.data)
        if not frame.chunk.last:
            return None
        header = self._header
        if self._sum.hexdigest() != header.sha256:
            raise AxisError(f"{header.delivery_id}: not the announced SHA-256; not settled")
        keep(self._part, self._path)
        return header, self._path


def keep(part, path):
    """Makes the open file `part` durable under the name `path`: after a power cut either all of
    it is there or nothing."""
    part.flush()
    os.fsync(part.fileno())
    part.close()
    os.replace(part.name, path)
    folder = os.open(Path(path).parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# ---------------------------------------------------------------- small things


def _outcome(handle, header, path):
    """What is to be said of a delivery once `handle` has seen it."""
    request = messages.SettleRequest(
        delivery_id=header.delivery_id, round=header.round, outcome=messages.OUTCOME_ACKNOWLEDGED
    )
    try:
        handle(header, path)
    except CannotRead as reason:
        request.outcome, request.reason = messages.OUTCOME_FAILED, str(reason) or "cannot be read"
    return request


def _same_bytes(receipt, sha256):
    """The receipt, if it is for the bytes that were sent. One of a duplicate may be the first
    push's, whose bytes can differ in To, TraceHeaderList and Signature."""
    if receipt.sha256 != sha256 and not receipt.duplicate:
        raise AxisError(f"the receipt is for {receipt.sha256}, sent was {sha256}")
    return receipt


def _worth_repeating(problem, repeatable):
    if isinstance(problem, Refused):
        certain = problem.name not in UNCERTAIN
        return problem.retry_after is not None and (repeatable or certain)
    return repeatable


def _wait(problem, attempt):
    """The time that the axis asks for, else ever longer; a little apart from all the others."""
    asked = getattr(problem, "retry_after", None) or 0
    time.sleep(max(asked, min(0.5 * 2**attempt, 30)) * random.uniform(1, 1.3))
