#!/usr/bin/env python3
"""Writes requests.jsonl and answers.jsonl beside it: golden vectors of the VXP protocol.

Made from the description of the protocol alone, with openssl for every hash and signature, so
that nothing of the Rust crate takes part. Run it anew only to add a case:

    python3 make.py

The keys and agencies are invented.
"""

import base64
import json
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent
SECRET = "khoa-bi-mat-cua-he-thong-thu"
STAMP = "22112026T081502+0007"
DOC = "0192f3c1a2b3000100000007"
COPY = "9d1214e8-f6e7-4667-8b75-109025acc76e"


def openssl(data, *words):
    run = subprocess.run(["openssl", "dgst", *words], input=data, capture_output=True, check=True)
    return run.stdout.decode().split()[-1]


def hmac(text):
    return openssl(text.encode(), "-sha256", "-mac", "HMAC", "-macopt", "key:" + SECRET)


def unpadded(data):
    digits = openssl(data, "-sha256")
    pairs = [digits[n : n + 2] for n in range(0, 64, 2)]
    return "".join(pair.lstrip("0") or "0" for pair in pairs)


def file_with_small_bytes(text):
    """A file whose hash has bytes below 0x10, so that the two forms of it differ."""
    for n in range(1000):
        data = (text % n).encode()
        if len(unpadded(data)) < 64:
            return data
    raise SystemExit("no such file")


def request(operation, method, parameters, body=b"", kind="application/json", package=None, padded=False):
    if package is not None:
        digits = openssl(package, "-sha256") if padded else unpadded(package)
        parameters = parameters[:-1] + [("hash-file", digits)] + parameters[-1:]
    logical = [("systemid", "he-thong-thu"), *parameters, ("timestamp", STAMP), ("Content-Type", kind)]
    signed = "{" + ",".join(
        json.dumps("XroadVnpt-" + name, ensure_ascii=False) + ":" + json.dumps(value, ensure_ascii=False)
        for name, value in logical
    ) + "}"
    headers = [("Content-Type", kind)]
    headers += [("XroadVnpt-" + name, value) for name, value in logical]
    headers += [
        ("XroadVnpt-sign-header-key", ";".join(name for name, _ in logical)),
        ("XroadVnpt-sign-header", signed),
        ("XroadVnpt-hash-header", hmac(signed)),
        ("User-Agent", "JAVASDKAgent/1.0.0 XRoad/VPCP"),
        ("XroadVnpt-version", "3.0.201608"),
    ]
    vector = {
        "operation": operation,
        "method": method,
        "path": "/" + operation,
        "secret": SECRET,
        "parameters": logical,
        "headers": headers,
        "body": base64.b64encode(body).decode(),
    }
    if package is not None:
        vector["package"] = base64.b64encode(package).decode()
    return vector


def requests():
    service = [("servicetype", "eDoc"), ("messagetype", "edoc")]
    status = [("servicetype", "eDoc"), ("messagetype", "status")]
    sender = ("from", "000.00.01.H99")
    xml = file_with_small_bytes("<edXML>%d</edXML>\n")
    mark = b"\xef\xbb\xbf" + xml
    octets = "application/octet-stream"
    yield request("sendEdoc", "POST", service + [sender], xml + b"\r\n", octets, xml)
    yield request("sendEdoc", "POST", status + [sender], xml + b"\r\n", octets, xml, padded=True)
    yield request("sendEdoc", "POST", service + [sender], mark, octets, mark)
    to = ("to", json.dumps(["000.00.02.H99", "000.00.03.H99"], separators=(",", ":")))
    yield request("sendEdoc", "POST", service + [to, sender], base64.b64encode(xml) + b"\r\n", octets, xml)
    # The file's own last CR LF is the file's.
    ends = xml + b"\r\n"
    yield request("sendEdoc", "POST", service + [sender], ends + b"\r\n", octets, ends)
    yield request("getReceivedEdocList", "POST", service)
    dates = [("fromDate", "22/11/2026 00:00:00"), ("toDate", "22/11/2026 23:59:59")]
    yield request("getReceivedEdocList", "POST", dates + status)
    yield request("getEdoc", "POST", service + [("docId", COPY), ("filePath", "C:\\van ban\\\"den\"")], b"{}")
    yield request("downloadEdoc", "GET", [("docId", COPY), ("filePath", "xml")])
    yield request("updateStatus", "POST", [("docid", COPY), ("status", "done")], b"{}")
    yield request("updateStatus", "POST", [("docId", COPY), ("status", "fail"), ("description", "khong doc duoc")], b"{}")
    yield request("getSentEdocList", "POST", service + [("docId", DOC)])
    yield request("countReceiveEdoc", "POST", service, b"{}")
    yield request("countReceiveStatus", "POST", status, b"{}")
    yield request("getAgenciesList", "POST", [])
    yield request("getAgenciesListQD20", "POST", [("level", "1")])
    yield request("getSynchronizeUnit", "POST", [])
    agency = {"id": "", "pcode": "000.00.01.H99", "code": "000.01.01.H99", "name": "Phòng thử",
              "mail": "p@thu.vn", "mobile": "", "fax": ""}
    yield request("registerAgency", "POST", [], json.dumps(agency, ensure_ascii=False).encode())
    yield request("deleteAgency", "POST", [("AgencyCode", "000.01.01.H99")], b"{}")


def answers():
    ok = {"status": "OK", "ErrorCode": "0", "ErrorDesc": "Thanh cong"}
    fail = {"status": "FAIL", "ErrorCode": "19", "ErrorDesc": "ma don vi gui khong khop"}
    yield "sendEdoc", {**ok, "DocId": DOC}
    yield "sendEdoc", {**fail, "DocId": ""}
    yield "getEdoc", {**ok, "data": base64.b64encode(b"<edXML/>").decode()}
    yield "getEdoc", fail
    yield "updateStatus", ok
    yield "registerAgency", ok
    yield "deleteAgency", fail
    yield "countReceiveEdoc", {**ok, "count": 3}
    yield "countReceiveStatus", {**ok, "count": 0}
    row = {"docId": COPY, "serviceType": "eDoc", "messageType": "edoc",
           "created_time": "2026/11/22 08:15:02", "updated_time": "2026/11/22 08:15:02",
           "from": "000.00.01.H99", "to": "000.00.02.H99", "status": "initial", "status_desc": "Chờ lấy"}
    yield "getReceivedEdocList", {**ok, "data": [row, {**row, "messageType": "status"}]}
    yield "getReceivedEdocList", {**ok, "data": []}
    copy = {"serviceType": "eDoc", "messageType": "edoc", "senderDocId": DOC, "receiverDocId": COPY,
            "fromCode": "000.00.01.H99", "toCode": "000.00.02.H99", "title": "V/v \"thử\"",
            "notation": "12/SNV-VP", "sentTime": "2026/11/22 08:15:02", "receivedTime": "",
            "sendStatus": "done", "sendStatusDesc": "", "receiveStatus": "initial", "receiveStatusDesc": ""}
    yield "getSentEdocList", {**ok, "data": [copy]}
    agency = {"id": "7", "pid": "", "code": "000.00.01.H99", "name": "Sở Nội vụ", "mail": "a@b.vn", "oldCode": ""}
    yield "getAgenciesList", {**ok, "data": [agency, {**agency, "oldCode": "000.00.07.H99"}]}
    yield "getAgenciesListQD20", {**ok, "data": [{"id": "7", "code": "H99.01", "name": "Sở Nội vụ",
                                                    "mail": "", "code102": "000.00.01.H99"}]}
    yield "getSynchronizeUnit", {**ok, "data": [{"id": "7", "pid": "1", "code": "000.00.01.H99",
                                                   "name": "Sở Nội vụ", "mail": "", "version": 4,
                                                   "centerCode": "H99", "deleted": True,
                                                   "modifyDate": "2026/11/22 08:15:02", "isAgency": True}]}


def write(name, lines):
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (HERE / name).write_text(text)


write("requests.jsonl", requests())
write("answers.jsonl", ({"operation": name, "answer": answer} for name, answer in answers()))
