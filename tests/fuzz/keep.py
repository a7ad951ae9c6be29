"""Chooses from a set-cover merge of libFuzzer the few small inputs that reach most, and puts them into a folder by themselves.

usage: keep.py CONTROL_FILE FOLDER

Takes, again and again, the input that adds most to what is reached, the smallest of those, until the folder is full or nothing is
left to reach.
"""

import pathlib
import shutil
import sys

MAX_INPUTS = 16
MAX_OCTETS = 48 * 1024


def reached_by_input(control):
    lines = control.read_text().splitlines()
    count = int(lines[0])
    paths = [pathlib.Path(line) for line in lines[2 : 2 + count]]
    reached = {}
    for line in lines[2 + count :]:
        kind, number, *features = line.split()
        if kind == "FT":
            # libFuzzer has eight features for each edge, by how often it was taken.
            reached[paths[int(number)]] = {int(feature) // 8 for feature in features}
    return reached


def choose(inputs):
    chosen, reached, octets = [], set(), 0
    sizes = {path: path.stat().st_size for path in inputs}
    while inputs and len(chosen) < MAX_INPUTS:
        best = max(inputs, key=lambda path: (len(inputs[path] - reached), -sizes[path]))
        features = inputs.pop(best)
        if features <= reached:
            break
        if octets + sizes[best] <= MAX_OCTETS:
            chosen.append(best)
            octets += sizes[best]
            reached |= features
    return chosen


def main():
    control, folder = map(pathlib.Path, sys.argv[1:])
    chosen = choose(reached_by_input(control))
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for path in chosen:
        shutil.copy(path, new / path.name)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
    print(f"{len(chosen)} inputs in {folder}")


main()
