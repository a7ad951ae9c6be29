#!/usr/bin/env python3
"""A strict receiver of flow spans over OTLP/gRPC, for demonstrations and tests.

usage: otlp_receiver.py --ready FILE [--spans FILE] [--show N]

Listens on a free port of 127.0.0.1 and writes its number to --ready. Every request is decoded by the generated code of
OTLP and checked: ids of 16 and 8 bytes that are not all zero, no attribute twice, start not after end, the attributes the
convention requires. A request with a span that fails is refused. On SIGTERM it prints what it got, --show spans of it in
full words, and ends with 1 where a span was refused. --spans appends every request as a line of OTLP/JSON.
"""
import argparse, datetime, os, signal, sys, threading
from concurrent import futures

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

REQUIRED = (
    "flow.community_id flow.initiator flow.end_reason source.address source.port destination.address destination.port "
    "network.transport network.type flow.bytes.delta flow.packets.delta flow.reverse.bytes.total flow.reverse.bytes.delta "
    "flow.reverse.packets.total flow.reverse.packets.delta"
).split()


def value(any_value):
    kind = any_value.WhichOneof("value")
    inner = getattr(any_value, kind) if kind else None
    return [value(item) for item in inner.values] if kind == "array_value" else inner


def faults(span):
    """What is wrong with a span, in words; nothing where it is as it must be."""
    keys = [attribute.key for attribute in span.attributes]
    if len(span.trace_id) != 16 or not any(span.trace_id):
        yield "its trace id is not 16 bytes or is all zero"
    if len(span.span_id) != 8 or not any(span.span_id):
        yield "its span id is not 8 bytes or is all zero"
    if len(set(keys)) != len(keys):
        yield "it has an attribute twice: " + ", ".join(sorted({key for key in keys if keys.count(key) > 1}))
    if span.start_time_unix_nano > span.end_time_unix_nano:
        yield "it starts after its end"
    if missing := [key for key in REQUIRED if key not in keys]:
        yield "it lacks " + ", ".join(missing)


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, path):
        self.lock = threading.Lock()
        self.file = open(path, "a", encoding="utf-8") if path else None
        self.spans, self.requests, self.refused = [], 0, []

    def Export(self, request, context):
        spans = [span for rs in request.resource_spans for ss in rs.scope_spans for span in ss.spans]
        wrong = [f"span {span.name}: {fault}" for span in spans for fault in faults(span)]
        with self.lock:
            self.requests += 1
            self.refused += wrong
            if not wrong:
                self.spans += spans
            if self.file:
                text = json_format.MessageToJson(request, indent=None)
                self.file.write(text + "\n")
                self.file.flush()
        if wrong:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, wrong[0])
        return trace_service_pb2.ExportTraceServiceResponse()


def amount(octets):
    for unit in ("B", "kB", "MB", "GB"):
        if octets < 1000 or unit == "GB":
            return f"{octets:.0f} {unit}" if unit == "B" else f"{octets:.1f} {unit}"
        octets /= 1000


def end_of(attributes, side):
    address, port = attributes[side + ".address"], attributes[side + ".port"]
    if attributes["network.transport"] not in ("tcp", "udp", "sctp"):
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def row(span):
    """A span in columns: who, with whom, how much each way, how long, how it ended."""
    at = {attribute.key: value(attribute.value) for attribute in span.attributes}
    arrow = "<-" if at["flow.initiator"] == "destination" else "->"
    state = at.get("flow.connection.state") or at.get("flow.icmp.type.name") or ""
    length = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
    there = f"{at['flow.packets.delta']} pkts {amount(at['flow.bytes.delta'])}"
    back = f"{at['flow.reverse.packets.delta']} pkts {amount(at['flow.reverse.bytes.delta'])}"
    ends = end_of(at, "source"), arrow, end_of(at, "destination")
    return at["network.transport"], *ends, there, back, f"{length:.3f} s", state, at["flow.end_reason"]


def table(rows):
    titles = ("", "source", "", "destination", "there", "back", "length", "state", "why it ended")
    rows = [titles, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(titles))]
    for cells in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip()


def in_full(span):
    when = datetime.datetime.fromtimestamp(span.start_time_unix_nano / 1e9, datetime.timezone.utc)
    yield f"span      {span.name}, {when:%Y-%m-%d %H:%M:%S.%f} UTC"
    yield f"ids       trace {span.trace_id.hex()}, span {span.span_id.hex()}"
    for attribute in sorted(span.attributes, key=lambda attribute: attribute.key):
        content = value(attribute.value)
        yield f"  {attribute.key:<34} {', '.join(content) if isinstance(content, list) else content}"


def packets(span):
    return sum(value(a.value) for a in span.attributes if a.key in ("flow.packets.delta", "flow.reverse.packets.delta"))


def report(receiver, show):
    spans = sorted(receiver.spans, key=packets, reverse=True)
    print(f"{len(spans)} spans in {receiver.requests} request(s), {sum(map(packets, spans))} packets; none was refused"
          if not receiver.refused else f"{len(receiver.refused)} spans were refused")
    kinds = {}
    for span in spans:
        kinds.setdefault(span.name, []).append(span)
    # The largest of each kind first, so that a few lines show them all.
    rows = [kind[place] for place in range(len(spans)) for kind in kinds.values() if place < len(kind)][:show]
    if rows:
        print()
        print("\n".join(table(map(row, rows))))
        print("\nThe first of them in full:\n")
        print("\n".join(in_full(rows[0])))
    for line in receiver.refused[:10]:
        print("refused: " + line, file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ready", required=True)
    parser.add_argument("--spans")
    parser.add_argument("--show", type=int, default=0)
    arguments = parser.parse_args()

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    receiver = Receiver(arguments.spans)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2), options=[("grpc.so_reuseport", 0)])
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # Renamed into place, so that whoever waits for it never reads half of it.
    with open(arguments.ready + ".new", "w", encoding="utf-8") as file:
        file.write(str(port))
    os.rename(arguments.ready + ".new", arguments.ready)
    ended.wait()
    server.stop(grace=2).wait()
    report(receiver, arguments.show)
    sys.exit(1 if receiver.refused else 0)


if __name__ == "__main__":
    main()
