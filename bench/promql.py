#!/usr/bin/python3
"""CPU of range queries over a day of 1,000 counters at 15 s, against Prometheus with the same data, in pairs.

A driver of ours (tests/promql-driver) answers over the store; Prometheus, from Debian, over HTTP. A built tree and
its test programs: bench/promql.py [--rounds 5]"""
import argparse
import os
import pathlib
import random
import shutil
import statistics
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT / 'tests')  # and not bench/, whose http.py is not Python's
from conftest import Strata  # noqa: E402
from test_e10_promql import BASE, Ours, Theirs, difference  # noqa: E402

TICK = os.sysconf('SC_CLK_TCK')
DAY = 86400
QUERIES = (
    ('sum by (rate)', 'sum by (rack) (rate(cpu_seconds_total[5m]))', '<= 0.25'),
    ('topk of sum by (rate)', 'topk(5, sum by (node) (rate(cpu_seconds_total[5m])))', '<= 0.25'),
    ('max by of 1,000 series', 'max by (rack) (cpu_seconds_total)', '<= 0.5'),
    ('avg_over_time of 1 h, 10 series', 'avg_over_time(cpu_seconds_total{node="n1"}[1h])', '<= 0.5'),
)


def data():
    r = random.Random(1)
    for i in range(1000):
        v, phase, samples = 10000 + r.randrange(10000) / 100, r.randrange(1, 14999), []
        for k in range(DAY // 15):
            v = round(v + r.randrange(0, 300) / 100, 2)
            samples.append((BASE * 1000 + k * 15000 + phase, v))
        yield {'__name__': 'cpu_seconds_total', 'rack': f'r{i % 10}', 'node': f'n{i // 10}', 'cpu': str(i % 10)}, samples


def cpu(pid):
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(pid, what):
    return next(int(line.split()[1]) / 1024 for line in pathlib.Path(f'/proc/{pid}/status').read_text().split('\n')
                if line.startswith(what))


def settle(pid):
    """Until a second goes by in which the process did nothing: its blocks are cut."""
    before = -1.0
    while cpu(pid) - before > 0.02:
        before = cpu(pid)
        threading.Event().wait(1)


def cost(one, query, times):
    before = cpu(one.process.pid)
    for _ in range(times):
        answer = one.ask(query, BASE, BASE + DAY, 60)
    return (cpu(one.process.pid) - before) / times, answer


def at_once(folder, store):
    """Ten of the dearest at a time, of a real server over the same store: how far its memory grows."""
    s = Strata(folder / 'state', args=('--set', 'metrics.retention=3650d'))
    s.start()
    s.stop()
    home = s.state / 'metrics'
    owner = home.stat()
    shutil.rmtree(home)
    shutil.copytree(store, home)
    for path in (home, *home.rglob('*')):
        os.chown(path, owner.st_uid, owner.st_gid)
    s.start()
    pid, form = s.pids()['server'], {'query': QUERIES[0][1], 'start': BASE, 'end': BASE + DAY, 'step': 60}

    def one():
        assert len(s.api('POST', '/prometheus/api/v1/query_range', data=form).json()['data']['result']) == 10
    one()
    alone = memory(pid, 'VmHWM')
    threads = [threading.Thread(target=one) for _ in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(f'peak memory of the server after one such query {alone:.1f} MB, with ten at once {memory(pid, "VmHWM"):.1f} MB <= 200 MB')
    s.stop()


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--rounds', type=int, default=5)
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix='strata-bench-') as d:
        both = list(data())
        theirs, ours = Theirs(pathlib.Path(d), both), Ours(pathlib.Path(d), both)
        del both
        ours.ask('1', BASE, BASE, 0)
        settle(ours.process.pid)
        settle(theirs.process.pid)
        for name, query, target in QUERIES:
            pairs = []
            for _ in range(args.rounds):
                a, x = cost(theirs, query, 2)
                b, y = cost(ours, query, 2)
                what = difference(query, x, y)
                assert what is None or 'topk' in query, what
                pairs.append((b, a))
            ratio = statistics.median(b / a for b, a in pairs if a > 0)
            print(f'{name}, CPU: ratio {ratio:.2f} ({statistics.median(b for b, _ in pairs) * 1000:.0f} ms : '
                  f'{statistics.median(a for _, a in pairs) * 1000:.0f} ms) {target}')
        print(f'memory after them: {memory(ours.process.pid, "VmRSS"):.1f} MB, Prometheus '
              f'{memory(theirs.process.pid, "VmRSS"):.0f} MB')
        theirs.close()
        ours.close()
        pathlib.Path(d).chmod(0o755)
        at_once(pathlib.Path(d), pathlib.Path(d) / 'ours')


if __name__ == '__main__':
    main()
