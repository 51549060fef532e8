#!/usr/bin/python3
"""CPU of the registry against nginx that serves the same bytes as files, and against a floor that receives, hashes and writes them.

Rows: pull and push of a large blob, a manifest by tag with a token, HEAD of a blob, a page of 100,000 tags, the deletion of a manifest with
2,000 tags, 32 pushes of one blob at once, and the collection of 100,000 blobs. CPU seconds of the server, both sides in turn, medians.
Root, nginx, a built tree: bench/registry.py [--mib 1024]"""
import argparse
import concurrent.futures
import hashlib
import http.client
import os
import pathlib
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT / 'tests')  # and not bench/, whose names are not those of modules
from conftest import Strata, free_port  # noqa: E402
from test_c20_registry import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Registry, sha  # noqa: E402

MANIFEST = {'Accept': OCI_MANIFEST}
PART = 1 << 20


def cpu(pids):
    """Seconds of all threads that live, in nanoseconds' resolution."""
    return sum(int((task / 'schedstat').read_text().split()[0]) for pid in pids for task in pathlib.Path(f'/proc/{pid}/task').iterdir()) / 1e9


class Nginx:
    def __init__(self, scratch):
        self.port, self.root = free_port(), scratch / 'www'
        self.root.mkdir()
        conf = scratch / 'nginx.conf'
        conf.write_text(f'daemon off; pid {scratch}/nginx.pid; worker_processes 2; error_log /dev/null;\nevents {{}}\nhttp {{ access_log off;'
                        f' sendfile on; keepalive_requests 1000000; open_file_cache max=100; server {{ listen 127.0.0.1:{self.port};'
                        f' root {self.root}; }} }}\n')
        scratch.chmod(0o755)
        self.process = subprocess.Popen(['nginx', '-c', str(conf)], stderr=subprocess.DEVNULL)
        while socket.socket().connect_ex(('127.0.0.1', self.port)):
            assert self.process.poll() is None, 'nginx ended'

    def pids(self):
        return [int(p.parent.name) for p in pathlib.Path('/proc').glob('[0-9]*/stat')
                if p.read_text().rsplit(')', 1)[1].split()[1] == str(self.process.pid)]


def ask(port, times, method, path, headers):
    """The same request on one connection."""
    c = http.client.HTTPConnection('127.0.0.1', port)
    for _ in range(times):
        c.request(method, path, headers=headers)
        r = c.getresponse()
        while r.read(PART):
            pass
        assert r.status == 200, r.status
    c.close()


def spent(pids, what, *args):
    before = cpu(pids())
    what(*args)
    return cpu(pids()) - before


def pair(rounds, ours, theirs):
    """Medians of both, in turn."""
    got = [(ours(), theirs()) for _ in range(rounds)]
    return statistics.median(a for a, _ in got), statistics.median(b for _, b in got)


def row(name, ours, theirs, goal, unit=1e6, of='us'):
    print(f'{name:42} {ours * unit:10.1f} {of}  floor {theirs * unit:10.1f} {of}  ratio {ours / theirs:5.2f}  goal <= {goal}')


def floor_push(port_file, target, size):
    """A child that receives, hashes, writes and syncs: what no registry can avoid."""
    listener = socket.create_server(('127.0.0.1', 0))
    pid = os.fork()
    if pid == 0:
        c, _ = listener.accept()
        h, left, buffer = hashlib.sha256(), size, bytearray(PART)
        with open(target, 'wb') as f:
            while left:
                n = c.recv_into(buffer)
                view = memoryview(buffer)[:n]
                h.update(view)
                f.write(view)
                left -= n
            f.flush()
            os.fdatasync(f.fileno())
        os._exit(0)
    with socket.create_connection(listener.getsockname()) as c, open(port_file, 'rb') as f:
        c.sendfile(f)
    return os.wait4(pid, 0)[2]


def collection(s, registry):
    """Rows and files of 100,000 blobs that nothing uses; their deletion while others push."""
    owner = (s.state / 'blobs').stat()
    s.stop()
    with sqlite3.connect(s.state / 'state.db') as db:
        repo, project = db.execute("SELECT id, project_id FROM repositories WHERE name = 'bench/app'").fetchone()
        for n in range(100_000):
            digest = hashlib.sha256(str(n).encode()).hexdigest()
            path = s.state / 'blobs/sha256' / digest[:2] / digest
            path.write_bytes(b'x')
            os.chown(path, owner.st_uid, owner.st_gid)
            db.execute('INSERT INTO blobs(digest, size_bytes) VALUES(?, 1)', ('sha256:' + digest,))
            db.execute('INSERT INTO repository_blobs(repository_id, digest, touched_ms, project_id) VALUES(?, ?, ?, ?)',
                       (repo, 'sha256:' + digest, n, project))  # as in life, their age says nothing of their shard
    db.close()
    s.start()
    began, freed, pushes = time.monotonic(), 0, 0

    def collect():
        total = 0
        while True:
            step = s.api('POST', '/api/v1/registry/collect').json()
            total += step['blobs']
            if not step['more']:
                return total
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        done = pool.submit(collect)
        before = cpu([s.pids()['server']])
        while not done.done():
            registry.blob('bench/app', os.urandom(1000))
            pushes += 1
        freed = done.result()
    print(f'collection of {freed} blobs: {time.monotonic() - began:.1f} s, {cpu([s.pids()["server"]]) - before:.1f} s of CPU, {pushes} pushes meanwhile'
          '  goal <= 60 s')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--mib', type=int, default=1024)
    parser.add_argument('--rounds', type=int, default=5)
    a = parser.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix='bench-registry-', dir=os.environ.get('BENCH_DIR', '/tmp')))
    s, nginx = Strata(scratch / 'state').start(), Nginx(scratch)
    try:
        measure(s, nginx, scratch, a)
    finally:
        s.stop()
        nginx.process.terminate()
        nginx.process.wait()
        shutil.rmtree(scratch)


def measure(s, nginx, scratch, a):
    s.project('bench')
    registry, size = Registry(s), a.mib << 20
    blob, floor = nginx.root / 'blob', []
    with open(blob, 'wb') as f:
        for _ in range(a.mib):
            f.write(os.urandom(PART))
    with open(blob, 'rb') as f:
        digest = 'sha256:' + hashlib.file_digest(f, 'sha256').hexdigest()

    def push(repo):
        with open(blob, 'rb') as f:
            r = registry('PATCH', registry.upload(repo), data=f, headers={'Content-Length': str(size)}, timeout=600)
        assert r.status_code == 202, r.text
        assert registry('PUT', r.headers['Location'], params={'digest': digest}).status_code == 201

    def ours():
        return [s.pids()['server']]
    pushed = []
    for n in range(a.rounds):
        pushed.append(spent(ours, push, f'bench/app{n}'))
        use = floor_push(blob, scratch / 'floor', size)
        floor.append(use.ru_utime + use.ru_stime)
    row(f'push of {a.mib} MiB (PATCH + PUT)', statistics.median(pushed), statistics.median(floor), 1.25, 1, 's')
    config = registry.blob('bench/app', b'{}')
    layer = registry.blob('bench/app', b'x' * 1000)
    body = ('{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"%s","digest":"%s","size":2},"layers":[{"mediaType":"%s","digest":"%s","size":1000}]}'
            % (OCI_MANIFEST, OCI_CONFIG, config, OCI_LAYER, layer)).encode()
    registry.manifest('bench/app', 'latest', body)
    (nginx.root / 'manifest').write_bytes(body)
    token = {'Authorization': 'Bearer ' + registry.token('repository:bench/app:pull', 'repository:bench/app0:pull'), **MANIFEST}

    def against(name, goal, times, method, path, file, unit, of):
        row(name, *(v / times for v in pair(a.rounds, lambda: spent(ours, ask, s.port, times, method, path, token),
                                            lambda: spent(nginx.pids, ask, nginx.port, times, method, file, {}))), goal, unit, of)
    against(f'pull of {a.mib} MiB', 1.3, 1, 'GET', f'/v2/bench/app0/blobs/{digest}', '/blob', 1, 's')
    against('GET of a manifest by tag, with a token', 5, 3000, 'GET', '/v2/bench/app/manifests/latest', '/manifest', 1e6, 'us')
    against('HEAD of a blob', 5, 3000, 'HEAD', f'/v2/bench/app/blobs/{layer}', '/manifest', 1e6, 'us')
    pid = s.pids()['server']
    peak = [line.split()[1] for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines() if line.startswith('VmHWM')]
    print(f'peak memory of the server so far: {int(peak[0]) / 1024:.1f} MiB')
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        one = os.urandom(PART)
        assert set(pool.map(lambda n: registry.blob(f'bench/many{n}', one), range(32))) == {sha(one)}
    print('32 pushes of one blob at once: stored', len(list((s.state / 'blobs/sha256' / sha(one)[7:9]).glob(sha(one)[7:]))), 'time')
    tags(s, registry, ours, body, token)
    collection(s, registry)


def tags(s, registry, ours, body, token):
    with sqlite3.connect(s.state / 'state.db', timeout=30) as db:
        repo, manifest = db.execute("SELECT r.id, m.id FROM repositories r JOIN manifests m ON m.repository_id = r.id WHERE r.name = 'bench/app'").fetchone()
        db.executemany('INSERT INTO tags VALUES(?, ?, ?, 1)', ((repo, f't{n:06}', manifest) for n in range(100_000)))
    db.close()
    times = 200
    print(f'page of 100 of 100,000 tags: {spent(ours, ask, s.port, times, "GET", "/v2/bench/app/tags/list?n=100&last=t050000", token) / times * 1e3:.2f} ms'
          ' of CPU  goal <= 2 ms')
    with sqlite3.connect(s.state / 'state.db', timeout=30) as db:
        db.execute('DELETE FROM tags WHERE repository_id = ? AND name >= ?', (repo, 't002000'))
    db.close()
    began = time.monotonic()
    used = spent(ours, lambda: registry('DELETE', f'/v2/bench/app/manifests/{sha(body)}'))
    print(f'DELETE of a manifest with 2,000 tags: {(time.monotonic() - began) * 1e3:.1f} ms, {used * 1e3:.1f} ms of CPU  goal <= 50 ms')


if __name__ == '__main__':
    main()
