#!/usr/bin/env python3
"""Time from exec of `strata up` to /readyz 200, on a state directory that exists and holds something.

    sudo bench/start.py [--build build] [--rounds 10]

The floor beside it is `strata version` (exec, linking, nothing else) on the same machine in the same run. The
clock stops at the first answer of 200; it is asked for again the moment that an attempt is refused."""
import argparse
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'tests'))
from conftest import Strata  # noqa: E402

TARGET_MS = 150


def ready_ms(s):
    host, port = s.listen.split(':')
    began = time.monotonic()
    s.start(check=False)
    while True:
        assert s.process.poll() is None, s.log()
        assert time.monotonic() - began < 30, 'it does not get ready'
        try:
            with socket.create_connection((host, int(port)), 5) as c:
                c.sendall(b'GET /readyz HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n')
                if c.recv(12) == b'HTTP/1.1 200':
                    return (time.monotonic() - began) * 1000
        except OSError:
            pass
        time.sleep(0.0005)  # the machine is to start a server, not to answer a busy loop


def exec_ms(s):
    began = time.monotonic()
    subprocess.run([s.binary, 'version'], stdout=subprocess.DEVNULL, check=True)
    return (time.monotonic() - began) * 1000


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--build', default=str(ROOT / 'build'))
    p.add_argument('--rounds', type=int, default=10)
    o = p.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix='strata-bench-start-'))
    s = Strata(scratch / 'state', build=pathlib.Path(o.build).resolve())
    try:
        s.start()
        for _ in range(20):
            assert s.run_job('demo', ['true'])['state'] == 'succeeded'
        s.volume('demo', 'data')
        s.stop()
        times, floors = [], []
        for _ in range(o.rounds):
            times.append(ready_ms(s))
            s.port = int(s.listen.split(':')[1])
            s.stop()
            floors.append(exec_ms(s))
    finally:
        s.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    ms, floor = statistics.median(times), statistics.median(floors)
    verdict = 'ok' if ms <= TARGET_MS else 'MISSED'
    print(f'start to /readyz: {ms:.0f} ms (median of {o.rounds}; {min(times):.0f} to {max(times):.0f}), exec alone '
          f'{floor:.1f} ms, ratio {ms / floor:.1f}; target <= {TARGET_MS} ms: {verdict}')
    return 0 if ms <= TARGET_MS else 1


if __name__ == '__main__':
    sys.exit(main())
