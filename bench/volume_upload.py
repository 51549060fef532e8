#!/usr/bin/python3
"""CPU of uploading 1 GiB into a volume, against `openssl dgst -sha256` + `cp` of the same file.

Prints the ratio (goal: <= 1.5) of CPU seconds, medians of the rounds, and by how much the server's
memory grew. CPU of the server is all of server, helper and files agents; that of the client (curl)
is not ours. Root, a built tree: bench/volume_upload.py [--mib 1024] [--rounds 5]"""
import argparse
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT / 'tests')  # and not bench/, whose http.py is not Python's
from conftest import Strata  # noqa: E402

TICK = os.sysconf('SC_CLK_TCK')


def children_cpu():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def cpu_of(*command):
    before = children_cpu()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return children_cpu() - before


def processes(strata):
    """Server, helper, and the files agents (children of nobody, named so)."""
    pids = [pid for name, pid in strata.pids().items() if name != 'up']
    for comm in pathlib.Path('/proc').glob('[0-9]*/comm'):
        try:
            if comm.read_text().strip() == 'strata-files':
                pids.append(int(comm.parent.name))
        except OSError:
            pass
    return pids


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        try:
            fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / TICK


def peak_kib(pid):
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1])
    return 0


def upload(strata, source):
    subprocess.run(['curl', '-sS', '--fail', '-o', '/dev/null', '-H', f'Authorization: Bearer {strata.token()}',
                    '-H', 'Expect:', '-T', source,
                    f'{strata.url}/api/v1/projects/bench/volumes/data/files/big'], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--mib', type=int, default=1024)
    parser.add_argument('--rounds', type=int, default=5)
    options = parser.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix='strata-bench-'))
    source, copy = scratch / 'source', scratch / 'copy'
    strata = Strata(scratch / 'state').start()
    try:
        subprocess.run(['head', '-c', str(options.mib << 20), '/dev/urandom'], stdout=open(source, 'wb'), check=True)
        os.sync()
        strata.volume('bench', 'data')
        (scratch / 'small').write_bytes(b'x' * 1000)
        upload(strata, scratch / 'small')
        server = strata.pids()['server']
        before_kib = peak_kib(server)
        floors, ours, walls = [], [], []
        for _ in range(options.rounds):
            floors.append(cpu_of('openssl', 'dgst', '-sha256', source) + cpu_of('cp', '--reflink=never', source, copy))
            copy.unlink()
            os.sync()
            pids = processes(strata)
            before, started = cpu_seconds(pids), time.monotonic()
            upload(strata, source)
            walls.append(time.monotonic() - started)
            ours.append(cpu_seconds(pids) - before)
            os.sync()
        floor, our = statistics.median(floors), statistics.median(ours)
        print(f'volume upload {options.mib} MiB: cpu {our:.2f} s, openssl dgst + cp {floor:.2f} s, '
              f'ratio {our / floor:.2f} (goal <= 1.5); wall {statistics.median(walls):.2f} s; '
              f'server memory peak +{peak_kib(server) - before_kib} KiB (to {peak_kib(server)} KiB)')
    finally:
        strata.stop()
        shutil.rmtree(scratch)


if __name__ == '__main__':
    main()
