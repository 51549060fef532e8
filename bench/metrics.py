#!/usr/bin/python3
"""The store of metrics against Debian's Prometheus: ingest by scraping, bytes on disk, restart.

    sudo bench/metrics.py [--build build] [--series 100000] [--seconds 40] [--millions 10] [--only ingest,disk,restart]

Rows: CPU for a million samples scraped from one target at 1 s with the log on, and memory a series; bytes a sample of the pages of a real
node_exporter (those in $METRICS_PAGES, a page a file named by its milliseconds, or made here in 15 minutes) and of a mix of decimals, a day at
15 s; start with so many million samples in the head after kill -9. CPU seconds, both in turn over the same data. Root, a built tree, and the
packages of tools/setup test."""
import argparse
import http.server
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

import requests

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT / 'tests')  # and not bench/, whose names are not those of modules
from conftest import Strata, free_port, wait_for  # noqa: E402
from test_e20_metrics import API, field, program, snappy, varint  # noqa: E402


def cpu(pid):
    """Seconds of all its threads, also of those that ended."""
    return time.clock_gettime((~pid << 3) | 2)


def memory(pid):
    return next(int(line.split()[1]) * 1024 for line in pathlib.Path(f'/proc/{pid}/status').read_text().split('\n') if line.startswith('VmRSS'))


def tree_bytes(*paths):
    return sum(p.stat().st_size for path in paths for p in path.rglob('*') if p.is_file())


class Pages:
    """A target whose pages are made before they are asked for: both sides get the same ones."""

    def __init__(self, n):
        r, outer = random.Random(4), self
        self.text, self.n = [], n
        names = [f'bench_{("requests_total", "temperature_celsius", "load", "info")[i % 4]}{{node="node-{i % 50:03}",rack="r{i % 10}",cpu="{i % 64}",'
                 f'i="{i}"}} ' for i in range(n)]
        values = [r.randrange(1000000) for _ in range(n)]
        for _ in range(4):
            for i in range(n):
                kind = i % 20
                if kind < 10:
                    values[i] += r.randrange(200)
                elif kind < 14:
                    values[i] += r.choice((-1, 0, 0, 0, 1))
                elif kind < 17:
                    values[i] = round(r.random() * 100, 6)
            self.text.append(''.join(f'{name}{v}\n' for name, v in zip(names, values)).encode())

        class Handler(http.server.BaseHTTPRequestHandler):
            at = 0

            def do_GET(self):
                Handler.at += 1
                data = outer.text[Handler.at % 4]
                self.send_response(200)
                self.send_header('Content-Type', 'text/plain; version=0.0.4')
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                try:
                    self.wfile.write(data)
                except OSError:
                    pass

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.address = f'127.0.0.1:{self.server.server_address[1]}'
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Ours:
    name = 'ours'

    def __init__(self, folder, config, build):
        (folder / 'ours.yml').write_text(config)
        self.strata = Strata(folder / 'state', build=build, args=('--set', f'metrics.scrape_config={folder}/ours.yml'))
        self.start()

    def start(self):
        begun = time.monotonic()
        self.strata.start()
        self.took = time.monotonic() - begun
        self.pid = self.strata.pids()['server']

    def post(self, body):
        r = self.strata.api('POST', API + '/write', data=body, headers=HEADERS)
        assert r.status_code == 204, r.text

    def ask(self, query, **more):
        return self.strata.api('POST', API + '/query', data={'query': query, **more}).json()['data']['result']

    def kill(self):
        up = self.strata.process.pid
        pids = [up, *pathlib.Path(f'/proc/{up}/task/{up}/children').read_text().split()]
        self.strata.kill()
        wait_for(lambda: not any(os.path.exists(f'/proc/{pid}') for pid in pids), 30, 'it is gone')

    def stop(self):
        self.strata.stop()


class Theirs:
    name = 'Prometheus'

    def __init__(self, folder, config, _):
        (folder / 'theirs.yml').write_text(config)
        self.folder, self.port = folder, free_port()
        self.url = f'http://127.0.0.1:{self.port}/api/v1'
        self.start()

    def start(self):
        begun = time.monotonic()
        self.process = subprocess.Popen([program('prometheus'), f'--config.file={self.folder}/theirs.yml', f'--storage.tsdb.path={self.folder}/data',
                                         '--web.enable-remote-write-receiver', '--web.enable-admin-api', '--storage.tsdb.retention.time=10y',
                                         f'--web.listen-address=127.0.0.1:{self.port}'], stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        wait_for(self.is_ready, 120, 'prometheus is ready')
        self.took = time.monotonic() - begun

    def is_ready(self):
        try:
            return requests.get(f'http://127.0.0.1:{self.port}/-/ready', timeout=5).ok
        except requests.RequestException:
            return False

    def post(self, body):
        r = requests.post(self.url + '/write', data=body, headers=HEADERS, timeout=60)
        assert r.status_code == 204, r.text

    def ask(self, query, **more):
        return requests.post(self.url + '/query', data={'query': query, **more}, timeout=60).json()['data']['result']

    def snapshot(self):
        """Bytes of everything as blocks."""
        requests.post(self.url + '/admin/tsdb/snapshot', timeout=120).raise_for_status()
        return tree_bytes(self.folder / 'data/snapshots')

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


HEADERS = {'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy', 'X-Prometheus-Remote-Write-Version': '0.1.0'}
NOTHING = 'global: {scrape_interval: 1h}\n'


def both(folder, config, build):
    """One after the other, so that they do not wait for each other."""
    for side in (Theirs, Ours):
        place = folder / side.name
        place.mkdir(mode=0o755)
        one = side(place, config, build)
        yield one
        one.stop()
        shutil.rmtree(place, ignore_errors=True)


# --- ingest ---

def ingest(folder, args):
    pages = Pages(args.series)
    config = f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- {{job_name: bench, static_configs: [{{targets: ['{pages.address}']}}]}}
"""
    spent, each = {}, {}

    for one in both(folder, config, args.build):
        empty = memory(one.pid)

        def taken(one=one):
            found = one.ask('sum(count_over_time(scrape_samples_scraped[1h])) * 0 + sum(sum_over_time(scrape_samples_scraped{job="bench"}[1h]))')
            return float(found[0]['value'][1]) if found else 0
        wait_for(lambda taken=taken: taken() >= 3 * args.series, 120, 'the series are known')
        had, before = taken(), cpu(one.pid)
        threading.Event().wait(args.seconds)  # and no question in between, which costs too
        used = cpu(one.pid) - before
        spent[one.name] = used / (taken() - had) * 1e6
        each[one.name] = (memory(one.pid) - empty) / args.series
    print(f'ingest of {args.series:,} series at 1 s by scraping, CPU: ratio {spent["ours"] / spent["Prometheus"]:.2f} ({spent["ours"]:.2f} s : '
          f'{spent["Prometheus"]:.2f} s a million samples) <= 0.2', flush=True)
    print(f'memory a series that is written: {each["ours"] / 1024:.2f} KB, Prometheus {each["Prometheus"] / 1024:.2f} KB, ratio '
          f'{each["ours"] / 1024:.2f} <= 1.0', flush=True)


# --- restart, bytes on disk: times of one's own ---

def encoded(labels):
    return b''.join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(labels.items()))


def send(one, series, names, ms):
    """A sample of each; names: encoded(labels) by index."""
    out = []
    for i, v in series:
        body = names[i] + field(2, b'\x09' + struct.pack('<d', v) + b'\x10' + varint(ms))
        out.append(field(1, body))
    one.post(snappy(b''.join(out)))


LINE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def real_pages():
    """[(milliseconds, text)]: 900 pages of node_exporter, a second apart."""
    there = pathlib.Path(os.environ.get('METRICS_PAGES', '/tmp/prom/pages'))
    if there.is_dir():
        return [(int(p.stem), p.read_text()) for p in sorted(there.iterdir())]
    port, out = free_port(), []
    url = f'http://127.0.0.1:{port}/metrics'
    node = subprocess.Popen([program('prometheus-node-exporter'), f'--web.listen-address=127.0.0.1:{port}'], stderr=subprocess.DEVNULL)
    try:
        threading.Event().wait(2)
        while len(out) < 900:
            out.append((int(time.time() * 1000), requests.get(url, timeout=5).text))
            threading.Event().wait(1 - time.time() % 1)
    finally:
        node.send_signal(signal.SIGTERM)
        node.wait(10)
    return out


def node_data():
    """{series as text: [(milliseconds, value as text)]}"""
    out = {}
    for ms, page in real_pages():
        for line in page.split('\n'):
            m = LINE.match(line)
            if m is not None and not line.startswith('#'):
                labels = ','.join(x for x in ('instance="node:9100",job="node"', m.group(2)) if x)
                out.setdefault((m.group(1), labels), []).append((ms - 86400_000, m.group(3)))  # of yesterday: what is new stays in the head
    return out


def decimal_data():
    """A day at 15 s: of 14 series 10 counters with two decimals, 2 slow whole gauges and 2 random gauges with three."""
    r, out = random.Random(5), {}
    for i in range(280):
        kind, phase, node = i % 14, r.randrange(15000) if i % 14 == 0 else phase, f'node="node-{i // 14:03}"'  # noqa: F821 (of the node)
        name = ('bench_cpu_seconds_total', 'bench_temp', 'bench_power')[0 if kind < 10 else 1 if kind < 12 else 2]
        v, samples = 10000 + r.random() * 10000 if kind < 10 else 50, []
        for k in range(5760):
            if kind < 10:
                v += r.randrange(1500) / 100
                text = f'{v:.2f}'
            elif kind < 12:
                v += r.choice((-1, 0, 0, 0, 0, 1))
                text = str(v)
            else:
                text = f'{200 + r.random() * 300:.3f}'
            samples.append((1_700_000_000_000 + k * 15000 + phase, text))
        out[(name, f'{node},part="{kind}"')] = samples
    return out


def our_bytes(folder, data, build):
    """Of the blocks that a store cuts from what comes in the order of time."""
    file, later = folder / 'data.txt', max(samples[-1][0] for samples in data.values()) + 12 * 3600_000
    file.write_text(''.join(f'{{__name__="{name}",{labels}}} ' + ' '.join(f'{ms}:{v}' for ms, v in samples) + '\n'
                            for (name, labels), samples in data.items()) + f'{{__name__="later"}} {later}:1\n')
    driver = subprocess.Popen([build / 'tests/promql-driver', file, folder / 'ours'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    size, blocks = 0, folder / 'ours/blocks'
    while size == 0 or size != tree_bytes(blocks):  # until nothing is cut or merged any more
        size = tree_bytes(blocks) if blocks.is_dir() else 0
        threading.Event().wait(4)
    driver.stdin.close()
    assert driver.wait(60) == 0
    return tree_bytes(blocks)


def their_bytes(folder, data):
    file = folder / 'data.om'
    with open(file, 'w') as f:
        for (name, labels), samples in data.items():
            f.writelines(f'{name}{{{labels}}} {v} {ms / 1000:.3f}\n' for ms, v in samples)
        f.write('# EOF\n')
    subprocess.run([program('promtool'), 'tsdb', 'create-blocks-from', '--max-block-duration=24h', 'openmetrics', file, folder / 'theirs'],
                   check=True, capture_output=True)
    return tree_bytes(folder / 'theirs')


def disk(folder, args):
    for what, make, goal in (('pages of node_exporter', node_data, 0.8), ('mix of decimals', decimal_data, 1.7)):
        place = folder / 'disk'
        place.mkdir()
        data = make()
        samples = sum(map(len, data.values()))
        ours, theirs = our_bytes(place, data, args.build) / samples, their_bytes(place, data) / samples
        shutil.rmtree(place)
        print(f'bytes a sample on disk, {what}, index included: {ours:.2f}, Prometheus {theirs:.2f}, ratio {ours:.2f} <= {goal}', flush=True)


def restart(folder, args):
    n, per = 10000, args.millions * 100
    names = [encoded({'__name__': 'bench_restart', 'node': f'node-{i // 100}', 'cpu': str(i % 100)}) for i in range(n)]
    took, used = {}, {}
    for one in both(folder, NOTHING, args.build):
        r, begun = random.Random(6), int(time.time() * 1000)
        values = [r.randrange(100000) for _ in range(n)]
        for k in range(per):
            for i in range(n):
                values[i] += k * i % 7
            send(one, enumerate(values), names, begun + k * 1000)
        one.kill()
        one.start()
        used[one.name], took[one.name] = cpu(one.pid), one.took
        found = one.ask('sum(count_over_time(bench_restart[10h]))', time=(begun + per * 1000) / 1000)
        assert float(found[0]['value'][1]) == n * per, found
    print(f'start with {args.millions} million samples in the head after kill -9, CPU: ratio {used["ours"] / used["Prometheus"]:.2f} ({used["ours"]:.2f} s : '
          f'{used["Prometheus"]:.2f} s); ready in {took["ours"] * 1000:.0f} ms <= 500 ms', flush=True)
    print(f'  Prometheus was ready in {took["Prometheus"] * 1000:.0f} ms')


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--build', type=pathlib.Path, default=ROOT / 'build')
    p.add_argument('--series', type=int, default=100000)
    p.add_argument('--seconds', type=int, default=40)
    p.add_argument('--millions', type=int, default=10)
    p.add_argument('--only', default='ingest,disk,restart')
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix='strata-bench-') as d:
        folder = pathlib.Path(d)
        folder.chmod(0o755)
        for part in (ingest, disk, restart):
            if part.__name__ in args.only.split(','):
                part(folder, args)


if __name__ == '__main__':
    main()
