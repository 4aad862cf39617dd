#!/usr/bin/env python3
"""A reader of database streams, written from FORMAT.md. It needs the zstd program for the content of frames.

    reader.py [--unproven] [--image-sha256 HEX] [--stream-sha256 HEX] FILE...

prints, for every file, or directory of shards, "accept" and the SHA-256 of its image, or "refuse" and why. With --batch it reads lines of JSON
from standard input instead, {"data": base64, "unproven": bool, "image_sha256": hex, "stream_sha256": hex}, and prints
such lines.
"""
import argparse
import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zlib

SQLITE, ZSTD, TRAILER_FRAME = b"SQLite format 3\0", b"\x28\xb5\x2f\xfd", b"\x53\x2a\x4d\x18\x00\x01\x00\x00"
PIECE, MAX_BLOCK, MAX_FRAME, TRAILER = 1 << 20, 128 << 10, (1 << 20) + (64 << 10), 256


class Refused(Exception):
    pass


def demand(condition, why):
    if not condition:
        raise Refused(why)


def image_size(head):
    """Section 1."""
    demand(len(head) >= 32 and head[:16] == SQLITE, "no database header")
    page_size, page_count = int.from_bytes(head[16:18], "big"), int.from_bytes(head[28:32], "big")
    page_size = 65536 if page_size == 1 else page_size
    demand(page_size in [1 << n for n in range(9, 17)], "page size")
    demand(1 <= page_count <= 4294967294, "page count")
    return page_size * page_count


def check_trailer(trailer, size, digest):
    """Section 2."""
    demand(len(trailer) == TRAILER, "trailer cut")
    demand(trailer.startswith(b"\nsqlite-checkpoint/") and trailer.endswith(b"\n"), "no trailer")
    line = trailer[:-1].rstrip(b" ")
    found = re.fullmatch(rb"(.*) line=([0-9a-f]{8})", line, re.DOTALL)
    demand(found and int(found[2], 16) == zlib.crc32(found[1]), "line checksum")
    version, _, rest = found[1][len(b"\nsqlite-checkpoint/"):].partition(b" ")
    demand(version == b"1", "version")
    number = rb"(0|[1-9][0-9]*)"
    found = re.fullmatch(
        rb"sha256=([0-9a-f]{64}) size=" + number + rb" check=(none|structural|quick|full)((?: [a-z0-9_]+=[!-~]+)*)", rest)
    demand(found, "grammar")
    keys = [field.partition(b"=")[0] for field in found[4].split()]
    demand(len(set(keys)) == len(keys) and not {b"sha256", b"size", b"check", b"line"} & set(keys), "key twice")
    demand(int(found[2]) == size, "size")
    demand(found[1].decode() == digest, "digest")


def cut_frame(data, at):
    """Section 4: the frame at an offset, and the content size it declares. Looks at lengths only."""
    def take(n):
        nonlocal at
        demand(at + n <= len(data), "frame cut")
        at += n
        return data[at - n:at]
    begin = at
    demand(take(4) == ZSTD, "no frame")
    descriptor = take(1)[0]
    demand(descriptor & 0b111111 == 0b100100, "shape of frame")
    size_length = [1, 2, 4, 8][descriptor >> 6]
    size = int.from_bytes(take(size_length), "little") + (256 if size_length == 2 else 0)
    demand(size <= PIECE, "content size")
    last = False
    while not last:
        header = int.from_bytes(take(3), "little")
        last, kind, length = header & 1, header >> 1 & 3, header >> 3
        demand(length <= MAX_BLOCK, "block size")
        take(1 if kind == 1 else length)
        demand(at - begin + 4 <= MAX_FRAME, "frame too long")
    take(4)
    return data[begin:at], size


def frames_in(data):
    """All frames that data begins with."""
    at, frames = 0, []
    try:
        while True:
            frame, _ = cut_frame(data, at)
            frames.append(frame)
            at += len(frame)
    except Refused:
        return frames


def decompress(frames):
    """The contents of frames, None for those that are damaged."""
    contents = {}
    with tempfile.TemporaryDirectory() as work:
        os.mkdir(work + "/out")
        names = {f"{work}/{n}.zst": frame for n, frame in enumerate(frames)}
        for name, frame in names.items():
            with open(name, "wb") as file:
                file.write(frame)
        for start in range(0, len(names), 500):
            subprocess.run(["zstd", "-d", "-q", "-f", "--no-progress", "--output-dir-flat", work + "/out",
                            *list(names)[start:start + 500]], stderr=subprocess.DEVNULL)
        for n, frame in enumerate(frames):
            try:
                with open(f"{work}/out/{n}", "rb") as file:
                    contents[frame] = file.read()
            except FileNotFoundError:
                contents[frame] = None
    return contents


def read_raw(data):
    size = image_size(data[:32])
    demand(len(data) >= size, "image cut")
    return data[:size], data[size:] or None


def read_compressed(data, contents):
    size, at, pieces = None, 0, []
    while size is None or sum(map(len, pieces)) < size:
        frame, length = cut_frame(data, at)
        content = contents[frame]
        demand(content is not None and len(content) == length, "frame damaged")
        size = image_size(content[:32]) if size is None else size
        demand(length == min(PIECE, size - sum(map(len, pieces))), "piece of another size")
        pieces.append(content)
        at += len(frame)
    tail = data[at:]
    if not tail:
        return b"".join(pieces), None
    demand(tail.startswith(TRAILER_FRAME), "no trailer frame")
    return b"".join(pieces), tail[len(TRAILER_FRAME):]


def read(data, contents, unproven=False, image_sha256=None, stream_sha256=None):
    """Section 7: gives the SHA-256 of the image or raises Refused."""
    image, trailer = read_compressed(data, contents) if data.startswith(ZSTD) else read_raw(data)
    digest = hashlib.sha256(image).hexdigest()
    if trailer is None:
        demand(unproven or image_sha256 or stream_sha256, "nothing vouches for it")
    else:
        check_trailer(trailer, len(image), digest)
    demand(image_sha256 in (None, digest), "another image")
    demand(stream_sha256 in (None, hashlib.sha256(data).hexdigest()), "another stream")
    return digest


def read_shards(directory):
    """Section 10: gives the stream in a directory of shards."""
    files = {}
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if name.startswith(".") or name == "lost+found" or os.path.isfile(path) and not os.path.islink(path):
            demand(not re.fullmatch("[0-9]{9}", name), "a file for a directory")
            continue
        demand(os.path.isdir(path) and not os.path.islink(path), "no directory")
        demand(re.fullmatch("[0-9]{9}", name), "another directory")
        pattern = "99" if name == "999999999" else "[0-9]{2}"
        for file in os.listdir(path):
            if not file.startswith(".") and file != "lost+found":
                demand(re.fullmatch(pattern, file), "another file")
                file = os.path.join(path, file)
                demand(os.path.isfile(file) and not os.path.islink(file), "no regular file")
                with open(file, "rb") as content:
                    files[os.path.relpath(file, directory)] = content.read()
    trailer = files.pop("999999999/99", None)
    demand(trailer is not None, "no trailer")
    lengths = [len(files[name]) for name in sorted(files)]
    demand(sorted(files) == [f"{n // 100:09}/{n % 100:02}" for n in range(len(files))], "a shard is missing")
    demand(all(length == lengths[0] for length in lengths[:-1]), "a shard of another length")
    demand(not lengths or 0 < lengths[-1] <= lengths[0], "the last shard is empty or too long")
    return b"".join(files[name] for name in sorted(files)) + trailer


def judge(streams):
    """A result for each of many streams, which are (data, options)."""
    frames = dict.fromkeys(frame for data, _ in streams for frame in frames_in(data))
    contents = decompress(list(frames))
    for data, options in streams:
        try:
            yield True, read(data, contents, **options)
        except Refused as why:
            yield False, str(why)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", action="store_true")
    parser.add_argument("--unproven", action="store_true")
    parser.add_argument("--image-sha256")
    parser.add_argument("--stream-sha256")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    if args.batch:
        streams = [json.loads(line) for line in sys.stdin]
        streams = [(base64.b64decode(options.pop("data")), options) for options in streams]
        for accepted, word in judge(streams):
            print(json.dumps({"accepted": accepted, "word": word}))
        return 0
    options = {"unproven": args.unproven, "image_sha256": args.image_sha256, "stream_sha256": args.stream_sha256}
    results = []
    for name in args.files:
        try:
            data = read_shards(name) if os.path.isdir(name) else open(name, "rb").read()
            results += judge([(data, options)])
        except Refused as why:
            results.append((False, str(why)))
    for accepted, word in results:
        print("accept" if accepted else "refuse", word)
    return 0 if all(accepted for accepted, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
