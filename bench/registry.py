#!/usr/bin/python3
"""The registry against nginx that serves the same bytes as files, a floor that receives, hashes and writes them, and Debian's docker-registry.

    sudo bench/registry.py [--mib 1024] [--rounds 5] [--only push,pull,small,syncs,memory,tags,collection]

Rows: push and pull of a large blob, a manifest by tag with a token, HEAD of a blob, waits for the disk for each object stored, memory idle and
under 8 pulls at once, 32 pushes of one blob at once, a page of 100,000 tags, the deletion of a manifest with 2,000 tags, and the collection of
100,000 blobs while others push. CPU seconds of the servers, all in turn, medians; docker-registry asks nobody who he is. Root, a built tree,
and the packages of tools/setup test."""
import argparse
import concurrent.futures
import hashlib
import http.client
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT / 'tests')  # and not bench/, whose names are not those of modules
from conftest import Strata, free_port, wait_for  # noqa: E402
from test_c20_registry import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Registry, sha  # noqa: E402

MANIFEST = {'Accept': OCI_MANIFEST}
PART = 1 << 20


def cpu(pids):
    """Seconds of all their threads, also of those that ended: the CPU clock of a process (clock_getcpuclockid(3))."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


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
        wait_for(lambda: socket.socket().connect_ex(('127.0.0.1', self.port)) == 0, 10, 'nginx answers')

    def pids(self):
        return [int(p.parent.name) for p in pathlib.Path('/proc').glob('[0-9]*/stat')
                if p.read_text().rsplit(')', 1)[1].split()[1] == str(self.process.pid)]


class Distribution:
    """Debian's docker-registry as its manual says, deletion allowed, nothing logged."""

    def __init__(self, scratch):
        self.port, self.root = free_port(), scratch / 'distribution'
        self.url = f'http://127.0.0.1:{self.port}'
        conf = scratch / 'distribution.yml'
        conf.write_text(f'version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {self.root}}},'
                        f' cache: {{blobdescriptor: inmemory}}, delete: {{enabled: true}}}}\nhttp: {{addr: "127.0.0.1:{self.port}"}}\n')
        self.process = subprocess.Popen(['docker-registry', 'serve', str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: socket.socket().connect_ex(('127.0.0.1', self.port)) == 0, 10, 'docker-registry answers')

    def pids(self):
        return [self.process.pid]


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


def crowd(port, times, method, path, headers):
    """Many of the same on eight connections."""
    words = [word for key, value in headers.items() for word in ('-H', f'{key}: {value}')]
    out = subprocess.run(['ab', '-q', '-k', '-c', '8', '-n', str(times), *(['-i'] if method == 'HEAD' else []), *words, f'http://127.0.0.1:{port}{path}'],
                         capture_output=True, text=True, check=True).stdout
    assert 'Non-2xx' not in out and re.search(r'Failed requests: +0\b', out), out


def spent(pids, what, *args):
    before = cpu(pids())
    what(*args)
    return cpu(pids()) - before


def in_turn(rounds, *sides):
    """Medians of all sides; each round begins with another one."""
    got = [[] for _ in sides]
    for n in range(rounds):
        for i in range(len(sides)):
            side = (n + i) % len(sides)
            got[side].append(sides[side]())
    return [statistics.median(of_side) for of_side in got]


def row(name, ours, floor, peer, goal, unit, of):
    print(f'{name + ":":42} ours {ours * unit:.1f} {of}, floor {floor * unit:.1f} {of}, ratio {ours / floor:.2f}  goal <= {goal}  docker-registry'
          f' {peer * unit:.1f} {of}, {peer / ours:.1f} times ours', flush=True)


def floor_push(source, target, size):
    """CPU seconds of a child that receives, hashes, writes and syncs: what no registry can avoid."""
    listener = socket.create_server(('127.0.0.1', 0))
    pid = os.fork()
    if pid == 0:
        c, _ = listener.accept()
        h, left, buffer = hashlib.sha256(), size, bytearray(PART)
        before = time.process_time()
        with open(target, 'wb') as f:
            while left:
                n = c.recv_into(buffer)
                view = memoryview(buffer)[:n]
                h.update(view)
                f.write(view)
                left -= n
            f.flush()
            os.fdatasync(f.fileno())
        target.with_suffix('.cpu').write_text(str(time.process_time() - before))
        os._exit(0)
    with socket.create_connection(listener.getsockname()) as c, open(source, 'rb') as f:
        c.sendfile(f)
    os.waitpid(pid, 0)
    return float(target.with_suffix('.cpu').read_text())


def forget(folder):
    """Out of the page cache: else whoever comes next gets memory that the machine has to find first, or finds it warm."""
    for path in folder.rglob('*'):
        if path.is_file() and path.stat().st_size >= PART:
            with open(path, 'rb') as f:
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def renew(blob):
    """Other bytes each time: what a registry has already it would not write."""
    with open(blob, 'r+b') as f:
        f.write(os.urandom(PART))
        f.seek(0)
        return 'sha256:' + hashlib.file_digest(f, 'sha256').hexdigest()


def push_file(registry, repo, blob, digest):
    with open(blob, 'rb') as f:
        r = registry('PATCH', registry.upload(repo), data=f, headers={'Content-Length': str(blob.stat().st_size)}, timeout=600)
    assert r.status_code == 202, r.text
    assert registry('PUT', r.headers['Location'], params={'digest': digest}, timeout=600).status_code == 201


def push(b, rounds):
    size = b.blob.stat().st_size

    def to(registry, pids, folder):
        digest = renew(b.blob)
        used = spent(pids, push_file, registry, 'bench/large', b.blob, digest)
        forget(folder)
        return used

    def floor():
        used = floor_push(b.blob, b.scratch / 'floor', size)
        forget(b.scratch)
        return used
    ours, least, theirs = in_turn(rounds, lambda: to(b.registry, b.ours, b.s.state / 'blobs'), floor,
                                  lambda: to(b.peer_registry, b.peer.pids, b.peer.root))
    row(f'push of {size >> 20} MiB (PATCH + PUT), CPU', ours, least, theirs, 1.25, 1, 's')


def against(b, rounds, name, goal, how, times, method, ours, file, peer, unit, of):
    row(name, *(v / times for v in in_turn(
        rounds, lambda: spent(b.ours, how, b.s.port, times, method, ours, b.token()), lambda: spent(b.nginx.pids, how, b.nginx.port, times, method, file, {}),
        lambda: spent(b.peer.pids, how, b.peer.port, times, method, peer, MANIFEST))), goal, unit, of)


def pull(b, rounds):
    path = f'/v2/bench/large/blobs/{b.large()}'
    against(b, rounds, f'pull of {b.blob.stat().st_size >> 20} MiB, CPU', 1.3, ask, 1, 'GET', path, '/blob', path, 1, 's')


def small(b, rounds):
    tag, blob = '/v2/bench/app/manifests/latest', f'/v2/bench/app/blobs/{b.layer}'
    against(b, rounds, 'GET of a manifest by tag, CPU', 5, crowd, 5000, 'GET', tag, '/manifest', tag, 1e6, 'us')
    against(b, rounds, 'HEAD of a blob, CPU', 5, crowd, 5000, 'HEAD', blob, '/manifest', blob, 1e6, 'us')
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        one = os.urandom(PART)
        assert set(pool.map(lambda n: b.registry.blob(f'bench/many{n}', one), range(32))) == {sha(one)}
    print('32 pushes of one blob at once: stored', len(list((b.s.state / 'blobs/sha256' / sha(one)[7:9]).glob(sha(one)[7:]))), 'time')


def syncs_of(pid, scratch, what):
    """How often a process waited for the disk meanwhile. sync_file_range only starts writing here, so it is not asked for."""
    log = scratch / 'syncs'
    tracer = subprocess.Popen(['strace', '-f', '-qq', '-o', log, '-e', 'trace=fsync,fdatasync,syncfs,sync,msync', '-p', str(pid)], stderr=subprocess.DEVNULL)
    wait_for(lambda: f'TracerPid:\t{tracer.pid}' in pathlib.Path(f'/proc/{pid}/status').read_text(), 20, 'strace holds the server')
    what()
    tracer.send_signal(2)
    tracer.wait(20)
    return len(re.findall(r'\b(?:fsync|fdatasync|syncfs|sync|msync)\(', log.read_text()))


def syncs(b, _):
    """Ten images of eight layers, a configuration and a manifest: a hundred objects."""
    def images(registry):
        for n in range(10):
            for _ in range(9):
                registry.blob('bench/syncs', os.urandom(1000))
            registry.manifest('bench/app', f's{n}', b.body[:-1] + b',"annotations":{"n":"%d"}}' % n)

    def blobs(registry):
        for _ in range(100):
            registry.blob('bench/syncs', os.urandom(1000))
    for name, what, goal in (('object of an image', images, 3), ('blob', blobs, None)):
        ours = syncs_of(b.s.pids()['server'], b.scratch, lambda: what(b.registry)) / 100
        theirs = syncs_of(b.peer.pids()[0], b.scratch, lambda: what(b.peer_registry)) / 100
        print(f'waits for the disk, each {name}: ours {ours:.2f} syncs, docker-registry {theirs:.2f}, ratio {ours / theirs:.2f}'
              + (f'  goal <= {goal} syncs: {"ok" if ours <= goal else "MISSED"}' if goal else ''), flush=True)


def memory(pids):
    """MB of all of them, shared pages too: what others share with them today says nothing of tomorrow."""
    lines = (line for pid in pids for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith('VmRSS:')) / 1000


def peak(pids, port, path, token):
    """MB while eight clients pull the large blob at once."""
    header = [word for key, value in token.items() for word in ('-H', f'{key}: {value}')]
    clients = [subprocess.Popen(['curl', '-sSf', '-o', '/dev/null', *header, f'http://127.0.0.1:{port}{path}']) for _ in range(8)]
    most = 0
    while any(c.poll() is None for c in clients):
        most = max(most, memory(pids()))
        threading.Event().wait(0.01)
    assert all(c.returncode == 0 for c in clients)
    return most


def idle(pids):
    threading.Event().wait(15)  # workers and their stacks go first
    return memory(pids())


def memories(b, _):
    path = f'/v2/bench/large/blobs/{b.large()}'
    ours, theirs = peak(b.ours, b.s.port, path, b.token()), peak(b.peer.pids, b.peer.port, path, {})
    print(f'peak RSS of the server under 8 pulls at once: {ours:.1f} MB, docker-registry {theirs:.1f}, ratio {ours / theirs:.2f}  goal <= 20 MB', flush=True)
    now, theirs = idle(b.ours), idle(b.peer.pids)
    print(f'idle RSS that the registry adds when it has been used: {now - b.fresh:.1f} MB ({b.fresh:.1f}, then {now:.1f}; docker-registry'
          f' {b.peer_fresh:.1f}, then {theirs:.1f}), ratio {now / theirs:.2f}  goal <= 5 MB', flush=True)


def collection(b, _):
    """Rows and files of 100,000 blobs that nothing uses; their deletion while others push."""
    s, owner = b.s, (b.s.state / 'blobs').stat()
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
            b.registry.blob('bench/app', os.urandom(1000))
            pushes += 1
        freed = done.result()
    print(f'collection of {freed} blobs: {time.monotonic() - began:.1f} s, {cpu([s.pids()["server"]]) - before:.1f} s of CPU, {pushes} pushes meanwhile'
          '  goal <= 60 s')


def tags(b, rounds):
    with sqlite3.connect(b.s.state / 'state.db', timeout=30) as db:
        repo, manifest = db.execute("SELECT r.id, m.id FROM repositories r JOIN manifests m ON m.repository_id = r.id"
                                    " WHERE r.name = 'bench/app' AND m.digest = ?", (sha(b.body),)).fetchone()
        db.executemany('INSERT INTO tags(repository_id, name, manifest_id, pushed_ms) VALUES(?, ?, ?, 1)',
                       ((repo, f't{n:06}', manifest) for n in range(100_000)))
    db.close()
    page = statistics.median(spent(b.ours, ask, b.s.port, 100, 'GET', '/v2/bench/app/tags/list?n=100&last=t050000', b.token()) for _ in range(rounds))
    print(f'page of 100 of 100,000 tags: {page * 10:.2f} ms of CPU  goal <= 2 ms')
    with sqlite3.connect(b.s.state / 'state.db', timeout=30) as db:
        db.execute("DELETE FROM tags WHERE repository_id = ? AND name GLOB 't??????'", (repo,))
    db.close()
    took = []
    for n in range(rounds):
        body = b.tagged(n)
        with sqlite3.connect(b.s.state / 'state.db', timeout=30) as db:
            manifest, = db.execute('SELECT id FROM manifests WHERE digest = ?', (sha(body),)).fetchone()
            db.executemany('INSERT INTO tags(repository_id, name, manifest_id, pushed_ms) VALUES(?, ?, ?, 1)', ((repo, f'm{n}-{i}', manifest) for i in range(1999)))
        db.close()
        began, before = time.monotonic(), cpu(b.ours())
        assert b.registry('DELETE', f'/v2/bench/app/manifests/{sha(body)}').status_code == 202
        took.append((time.monotonic() - began, cpu(b.ours()) - before))
    wall, used = (statistics.median(t[i] for t in took) * 1e3 for i in range(2))
    b.peer_registry.manifest('bench/app', 'peer', b.body)
    links = b.peer.root / 'docker/registry/v2/repositories/bench/app/_manifests/tags'
    for n in range(2000):
        shutil.copytree(links / 'peer', links / f't{n}')
    began = time.monotonic()
    assert b.peer_registry('DELETE', f'/v2/bench/app/manifests/{sha(b.body)}', timeout=600).status_code == 202
    print(f'DELETE of a manifest with 2,000 tags: {wall:.1f} ms ({min(t[0] for t in took) * 1e3:.1f} to {max(t[0] for t in took) * 1e3:.1f}), {used:.1f} of'
          f' CPU  goal <= 50 ms  docker-registry {(time.monotonic() - began):.1f} s')


class Bench:
    """The servers that are compared, and what they all hold."""

    def __init__(self, scratch, mib):
        self.scratch = scratch
        self.s, self.nginx, self.peer = Strata(scratch / 'state').start(), Nginx(scratch), Distribution(scratch)
        self.s.project('bench')
        for _ in range(200):
            self.s.api('GET', '/api/v1/projects')
        self.fresh, self.peer_fresh = idle(self.ours), memory(self.peer.pids())
        self.registry, self.peer_registry = Registry(self.s), Registry(self.peer, user=None)
        self.blob = self.nginx.root / 'blob'
        with open(self.blob, 'wb') as f:
            for _ in range(mib):
                f.write(os.urandom(PART))
        self._large = None
        for registry in (self.registry, self.peer_registry):
            config, self.layer = registry.blob('bench/app', b'{}'), registry.blob('bench/app', b'x' * 1000)
            self.body = ('{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"%s","digest":"%s","size":2},"layers":[{"mediaType":"%s",'
                         '"digest":"%s","size":1000}]}' % (OCI_MANIFEST, OCI_CONFIG, config, OCI_LAYER, self.layer)).encode()
            registry.manifest('bench/app', 'latest', self.body)
        (self.nginx.root / 'manifest').write_bytes(self.body)

    def ours(self):
        return [self.s.pids()['server']]

    def token(self):
        return {'Authorization': 'Bearer ' + self.registry.token('repository:bench/app:pull', 'repository:bench/large:pull'), **MANIFEST}

    def large(self):
        """The digest of the large file, which both registries have now."""
        if self._large is None:
            self._large = renew(self.blob)
            for registry in (self.registry, self.peer_registry):
                push_file(registry, 'bench/large', self.blob, self._large)
        return self._large

    def tagged(self, n):
        """Another image with a tag."""
        body = self.body[:-1] + b',"annotations":{"many":"%d"}}' % n
        self.registry.manifest('bench/app', f'm{n}', body)
        return body

    def close(self):
        self.s.stop()
        for process in (self.nginx.process, self.peer.process):
            process.terminate()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--mib', type=int, default=1024)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--only', default='push,pull,small,syncs,memory,tags,collection')
    a = parser.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix='bench-registry-', dir=os.environ.get('BENCH_DIR', '/tmp')))
    scratch.chmod(0o755)
    b = Bench(scratch, a.mib)
    what = {'push': push, 'pull': pull, 'small': small, 'syncs': syncs, 'memory': memories, 'tags': tags, 'collection': collection}
    try:
        for name in a.only.split(','):
            what[name](b, a.rounds)
    finally:
        b.close()
        shutil.rmtree(scratch)


if __name__ == '__main__':
    main()
