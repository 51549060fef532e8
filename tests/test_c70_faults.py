"""What happens when the machine or the client misbehaves: a full disk, hostile layers, crowds and dawdlers, kills in
the middle of an upload, two servers side by side. Nothing that was acknowledged is lost, nothing else is harmed."""
import base64
import contextlib
import gzip
import hashlib
import io
import json
import os
import pathlib
import resource
import socket
import sqlite3
import subprocess
import tarfile
import threading
import time
import uuid

import pytest
import requests

from conftest import FINAL, wait_for

JOBS = '/api/v1/projects/demo/jobs'
FILES = '/api/v1/projects/demo/volumes/data/files'
SMALL = {'cpu': '100m', 'memory': '64Mi'}
OCI = 'application/vnd.oci.image'


def sha(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


def shell(s, text, **more):
    return {'name': 't', 'image': s.busybox, 'command': ['sh', '-c', text], 'resources': SMALL, **more}


def push_blob(s, repo, data):
    return s.api('POST', f'/v2/{repo}/blobs/uploads/', params={'digest': sha(data)}, data=data,
                 headers={'Content-Type': 'application/octet-stream'})


def put_blob(s, repo, data):
    r = push_blob(s, repo, data)
    assert r.status_code == 201, r.text
    return {'digest': sha(data), 'size': len(data)}


def push_layers(s, repo, layers, diff_ids=None, packed=None):
    """An image of these tars, by hand: every field is ours to get wrong."""
    s.project(repo.split('/')[0])
    packed = packed or [gzip.compress(t, 1, mtime=0) for t in layers]
    config = {'architecture': 'amd64', 'os': 'linux', 'config': {},
              'rootfs': {'type': 'layers', 'diff_ids': diff_ids or [sha(t) for t in layers]}}
    manifest = {'schemaVersion': 2, 'mediaType': OCI + '.manifest.v1+json',
                'config': {'mediaType': OCI + '.config.v1+json', **put_blob(s, repo, json.dumps(config).encode())},
                'layers': [{'mediaType': OCI + '.layer.v1.tar+gzip', **put_blob(s, repo, p)} for p in packed]}
    r = s.api('PUT', f'/v2/{repo}/manifests/1', data=json.dumps(manifest), headers={'Content-Type': manifest['mediaType']})
    assert r.status_code == 201, r.text
    return f'{repo}:1'


def integrity(s):
    """Of the database of a server that has stopped."""
    with contextlib.closing(sqlite3.connect(f'file:{s.state}/state.db?mode=ro', uri=True)) as db:
        assert db.execute('PRAGMA integrity_check').fetchall() == [('ok',)]
        assert db.execute('PRAGMA foreign_key_check').fetchall() == []


# --- a full disk ---

class Disk:
    """A small ext4 of its own, that others than the server fill."""

    def __init__(self, folder, mebibytes):
        self.image, self.mount = folder / 'disk.img', folder / 'disk'
        self.mount.mkdir()
        self.image.touch()
        os.truncate(self.image, mebibytes << 20)
        subprocess.run(['mkfs.ext4', '-q', '-m', '0', self.image], check=True)
        if subprocess.run(['mount', '-o', 'loop', self.image, self.mount]).returncode != 0:
            pytest.skip('no loop devices here')
        self.mount.chmod(0o755)

    def fill(self):
        """To the last block."""
        with open(self.mount / 'filler', 'ab') as f:
            for size in (1 << 20, 65536, 4096):
                while True:
                    try:
                        os.posix_fallocate(f.fileno(), os.fstat(f.fileno()).st_size, size)
                    except OSError:
                        break

    def free_bytes(self):
        st = os.statvfs(self.mount)
        return st.f_bavail * st.f_frsize

    def empty(self):
        (self.mount / 'filler').unlink(missing_ok=True)

    def close(self):
        try:
            wait_for(lambda: subprocess.run(['umount', self.mount], capture_output=True).returncode == 0, 20, 'umount')
        except AssertionError:
            subprocess.run(['umount', '-l', self.mount], check=True)
            raise


@pytest.fixture
def small(own_strata, tmp_path_factory):
    """A server whose state directory is on a disk of 96 MiB; its own messages go elsewhere."""
    folder = tmp_path_factory.mktemp('full')
    for up in (folder, folder.parent, folder.parent.parent):
        up.chmod(0o755)
    disk = Disk(folder, 96)
    s = own_strata(state=disk.mount / 'state')
    s.log_path = folder / 'strata.log'
    s.disk = disk
    try:
        yield s
    finally:
        disk.empty()
        if s.process and s.process.poll() is None:
            for job in s.api('GET', JOBS).json().get('items', []):
                if job['state'] not in FINAL:
                    s.api('POST', f'{JOBS}/{job["id"]}/cancel')
                    s.wait_job('demo', job['id'])
            s.stop()
        disk.close()


def message(r):
    """Of an error of either API."""
    return (r.json().get('error') or r.json()['errors'][0])['message']


def until_full(what, times=3000):
    """Repeats a small change until the disk refuses it; the answers before it are promises."""
    kept = []
    for i in range(times):
        r = what(i)
        if r.status_code == 507:
            assert 'disk is full' in message(r) or 'No space left' in message(r) or 'space' in message(r), r.text
            return kept
        assert r.status_code in (200, 201, 202, 204), r.text
        kept.append(r)
    raise AssertionError('the disk took everything')


def test_a_full_disk_refuses_every_change_clearly_and_reads_go_on(small):
    s = small.start()
    s.volume('demo', 'data')
    kept = os.urandom(3 << 20)
    assert s.api('PUT', f'{FILES}/keep', data=kept).status_code == 201
    blob = os.urandom(1 << 20)
    put_blob(s, 'demo/blobs', blob)
    done = s.run_job('demo', ['sh', '-c', 'echo before'])
    assert done['state'] == 'succeeded', done
    node = s.api('GET', '/api/v1/nodes').json()['items'][0]
    blocker = s.submit('demo', shell(s, 'sleep 600', resources={'cpu': f'{node["cpu_milli"]}m', 'memory': '64Mi'}))
    s.wait_job('demo', blocker['id'], ('running',))
    password = s.admin_password

    s.disk.fill()
    body = shell(s, 'echo $BIG | wc -c', env={'BIG': 'x' * 100_000})
    accepted = [r.json()['id'] for r in until_full(lambda i: s.api('POST', JOBS, json=body))]
    until_full(lambda i: s.api('PUT', f'{FILES}/new-{i}', data=os.urandom(40_000)))
    until_full(lambda i: push_blob(s, 'demo/blobs', os.urandom(40_000)))
    until_full(lambda i: requests.post(s.url + '/api/v1/login', json={'user': 'admin', 'password': password}, timeout=30))
    until_full(lambda i: s.api('POST', '/api/v1/projects', json={'name': f'p{i}'}))
    big = s.state.parent.parent / 'big'
    big.write_bytes(os.urandom(1 << 20))
    r = s.cli('data', 'put', big, 'data/big', '-p', 'demo')
    assert r.returncode == 74 and ('space' in r.stderr or 'full' in r.stderr), (r.returncode, r.stdout, r.stderr)

    for _ in range(3):
        assert requests.get(s.url + '/readyz', timeout=10).status_code == 200
        assert s.api('GET', f'{FILES}/keep').content == kept
        assert s.api('GET', f'/v2/demo/blobs/blobs/{sha(blob)}').content == blob
        assert s.job_log('demo', done['id']) == 'before\n'
        assert s.job('demo', blocker['id'])['state'] == 'running'
        assert {j['id'] for j in s.api('GET', JOBS, params={'limit': 1000}).json()['items']} >= set(accepted)

    s.disk.empty()
    wait_for(lambda: s.api('POST', JOBS, json=shell(s, 'true')).status_code == 202, 30, 'submits are taken again')
    assert s.api('PUT', f'{FILES}/after', data=kept).status_code == 201
    put_blob(s, 'demo/blobs', os.urandom(1 << 20))
    assert requests.post(s.url + '/api/v1/login', json={'user': 'admin', 'password': password}, timeout=30).status_code == 200
    s.api('POST', f'{JOBS}/{blocker["id"]}/cancel')
    for job in accepted[:20]:
        assert s.wait_job('demo', job)['state'] == 'succeeded'
        assert s.job_log('demo', job) == '100001\n'
    for job in accepted[20:]:
        s.api('POST', f'{JOBS}/{job}/cancel')
    for job in accepted:
        s.wait_job('demo', job)
    wait_for(lambda: s.api('GET', '/api/v1/queue').json() == {'queued': 0, 'running': 0}, 60, 'nothing is left to run')
    assert s.stop() == 0
    integrity(s)


def test_an_upload_holds_no_more_of_the_disk_than_it_has_sent(small):
    s = small.start()
    s.volume('demo', 'data')
    volume = s.api('GET', '/api/v1/projects/demo/volumes/data').json()['id']
    uploads = s.state / 'volumes' / volume / '.strata/uploads'
    before, total = s.disk.free_bytes(), 60 << 20
    reserve = os.statvfs(s.disk.mount).f_blocks * os.statvfs(s.disk.mount).f_frsize // 20

    def begin(upload, sent):
        host, port = s.listen.split(':')
        c = socket.create_connection((host, int(port)))
        c.sendall(f'PUT {FILES}/{upload}?upload={upload} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {s.token()}\r\n'
                  f'Content-Range: bytes 0-{total - 1}/{total}\r\nContent-Length: {total}\r\n\r\n'.encode() + bytes(sent))
        return c

    with begin('aaaaaaaa', 0):
        wait_for(lambda: list(uploads.glob('aaaaaaaa*')), 20, 'the upload has begun')
        with begin('bbbbbbbb', 3 << 20):
            wait_for(lambda: [f for f in uploads.glob('bbbbbbbb*') if f.stat().st_size >= 2 << 20], 20, 'bytes have come')
            assert s.disk.free_bytes() > before - (12 << 20)
    wait_for(lambda: all(f.stat().st_blocks * 512 <= f.stat().st_size + (64 << 10) for f in uploads.iterdir()), 30,
             'a cut upload holds nothing that it has not sent')
    wait_for(lambda: s.api('DELETE', f'{FILES}/bbbbbbbb?upload=bbbbbbbb').status_code == 204, 30, 'it is given up')

    until_full(lambda i: s.api('PUT', f'{FILES}/new-{i}', data=os.urandom(1 << 20)))
    until_full(lambda i: s.api('PUT', f'{FILES}/chunked-{i}', data=iter([os.urandom(1 << 20)])))
    assert s.disk.free_bytes() > reserve - (1 << 20), 'what is for the database stays'
    assert s.api('POST', JOBS, json=shell(s, 'true')).status_code == 202


def test_a_start_on_a_full_disk_serves_or_says_why_not(small):
    s = small.start()
    s.volume('demo', 'data')
    assert s.api('PUT', f'{FILES}/keep', data=b'kept').status_code == 201
    for how in (s.stop, s.kill):
        how()
        s.disk.fill()
        s.start(check=False)

        def answered():
            if s.process.poll() is not None:
                return True
            try:
                return requests.get(f'http://{s.listen}/readyz', timeout=5).status_code == 200
            except requests.RequestException:
                return False
        wait_for(answered, 30, 'it serves, or it ended')
        if s.process.poll() is not None:
            assert s.process.returncode == 74, s.log()
            assert 'No space left' in s.log() or 'full' in s.log()
        else:
            assert s.api('GET', f'{FILES}/keep').content == b'kept'
        s.stop()
        s.disk.empty()
        s.start()
        assert s.api('GET', f'{FILES}/keep').content == b'kept'
    s.stop()
    integrity(s)


def test_a_log_that_fills_the_disk_costs_output_but_not_the_exit_code(small):
    s = small.start()
    job = s.submit('demo', shell(s, 'echo first; yes 0123456789abcde | head -c 150000000; exit 7', resources={'cpu': 1, 'memory': '64Mi'}))
    folder = s.state / 'jobs' / (job['id'] + '-1')
    s.wait_job('demo', job['id'], ('running', *FINAL))
    wait_for(lambda: s.disk.free_bytes() < 65536, 60, 'the log has filled the disk')
    assert requests.get(s.url + '/readyz', timeout=10).status_code == 200
    wait_for(lambda: (folder / 'exit').exists() or s.job('demo', job['id'])['state'] in FINAL, 60, 'its end is recorded')
    filled = s.job('demo', job['id'])
    if filled['state'] not in FINAL:  # whether the row fits is a matter of luck; it is written when it does
        os.truncate(folder / 'log', (folder / 'log').stat().st_size - (8 << 20))
    end = s.wait_job('demo', job['id'])
    assert end['state'] == 'failed' and end['exit']['kind'] == 'exit' and end['exit']['code'] == 7, end
    r = s.api('GET', f'{JOBS}/{job["id"]}/log', headers={'Range': 'bytes=0-37'})
    assert r.text == 'first\n0123456789abcde\n0123456789abcde\n'
    assert s.api('DELETE', f'{JOBS}/{job["id"]}').status_code == 204
    wait_for(lambda: s.disk.free_bytes() > 60 << 20, 30, 'a deleted job gives its space back')
    assert not folder.exists()
    assert s.run_job('demo', ['sh', '-c', 'exit 3'])['exit']['code'] == 3
    assert s.stop() == 0
    integrity(s)


def test_jobs_that_end_on_a_full_disk_keep_their_exit_codes(small):
    s = small.start()
    s.volume('demo', 'go')
    base = '/api/v1/projects/demo/volumes/go/files'
    jobs = [s.submit('demo', shell(s, f'while [ ! -e /go/now ]; do sleep 0.05; done; echo out; exit {10 + i}',
                                   volumes=[{'name': 'go', 'path': '/go'}], resources={'cpu': '50m', 'memory': '32Mi'}))
            for i in range(6)]
    for job in jobs:
        s.wait_job('demo', job['id'], ('running',))
    assert s.api('PUT', f'{base}/x', data=b'').status_code == 201
    s.disk.fill()
    r = s.api('POST', '/api/v1/projects/demo/volumes/go/rename', json={'from': 'x', 'to': 'now'})
    assert r.status_code == 204, r.text
    shims = [s.state / 'jobs' / (j['id'] + '-1') / 'exit' for j in jobs]
    wait_for(lambda: all(p.exists() or s.job('demo', j['id'])['state'] in FINAL for p, j in zip(shims, jobs)), 30,
             'every end is recorded')
    s.kill()
    s.disk.empty()
    s.start()
    ends = [s.wait_job('demo', j['id']) for j in jobs]
    assert [e['exit'] and e['exit']['code'] for e in ends] == [10 + i for i in range(6)], ends


# --- hostile layers ---

@pytest.fixture
def canary():
    """A directory outside that a layer would like to reach."""
    path = pathlib.Path('/tmp') / f'strata-faults-{uuid.uuid4().hex[:8]}'
    path.mkdir()
    (path / 'secret').write_text('untouched')
    yield path
    assert sorted(p.name for p in path.iterdir()) == ['secret']
    assert (path / 'secret').read_text() == 'untouched' and (path / 'secret').stat().st_nlink == 1
    (path / 'secret').unlink()
    path.rmdir()


def tar_of(*entries):
    """(name, type, link or bytes) each; names are written as they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as t:
        for name, kind, what in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o755
            if kind == tarfile.REGTYPE:
                info.size = len(what)
                t.addfile(info, io.BytesIO(what))
            else:
                if isinstance(what, tuple):
                    info.devmajor, info.devminor = what
                else:
                    info.linkname = what
                t.addfile(info)
    return out.getvalue()


FILE, LINK, HARD, DIR, CHR, BLK = (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE,
                                   tarfile.BLKTYPE)
UP = '../' * 12
HOSTILE = {
    'dots': (lambda c: [(f'a/{UP}{c[1:]}/evil', FILE, b'x')], "'..' in a name"),
    'dots-first': (lambda c: [(f'{UP}{c[1:]}/evil', FILE, b'x')], "'..' in a name"),
    'absolute': (lambda c: [(f'{c}/evil', FILE, b'x')], 'absolute path'),
    'absolute-link': (lambda c: [('out', LINK, c), ('out/evil', FILE, b'x')], 'out'),
    'relative-link': (lambda c: [('d', DIR, ''), ('d/out', LINK, UP + c[1:]), ('d/out/evil', FILE, b'x')], 'out'),
    'chain-of-links': (lambda c: [('d', DIR, ''), ('d/up', LINK, '..'), ('d/two', LINK, 'up/' + UP + c[1:]),
                                  ('d/two/evil', FILE, b'x')], 'd/two'),
    'directory-over-link': (lambda c: [('out', LINK, c), ('out/', DIR, ''), ('out/secret', FILE, b'x')], None),
    'file-over-link': (lambda c: [('out', LINK, c + '/secret'), ('out', FILE, b'x')], None),
    'whiteout-through-link': (lambda c: [('out', LINK, c), ('out/.wh.secret', FILE, b'')], 'out'),
    'opaque-through-link': (lambda c: [('out', LINK, c), ('out/.wh..wh..opq', FILE, b'')], 'out'),
    'whiteout-of-parent': (lambda c: [('d/.wh...', FILE, b'')], 'whiteout'),
    'hard-link-dots': (lambda c: [('h', HARD, UP + c[1:] + '/secret')], "'..' in a name"),
    'hard-link-absolute': (lambda c: [('h', HARD, c + '/secret'), ('h', FILE, b'x')], 'h'),
    'hard-link-to-link': (lambda c: [('l', LINK, c + '/secret'), ('h', HARD, 'l'), ('h', FILE, b'x')], None),
    'hard-link-through-link': (lambda c: [('out', LINK, c), ('h', HARD, 'out/secret')], 'h'),
    'disk': (lambda c: [('sda', BLK, (8, 0))], 'sda'),
    'memory': (lambda c: [('etc/mem', CHR, (1, 1))], 'mem'),
    'whiteout-by-hand': (lambda c: [('bin', CHR, (0, 0))], 'bin'),
    'proc': (lambda c: [('p', LINK, '/proc/self/root' + c), ('p/evil', FILE, b'x')], 'p'),
}


@pytest.mark.parametrize('trick', HOSTILE)
def test_a_layer_reaches_nothing_outside_of_itself(strata, canary, trick):
    assert strata.busybox
    entries, words = HOSTILE[trick]
    program = pathlib.Path('/bin/busybox').read_bytes()
    base = tar_of(('bin', DIR, ''), ('bin/busybox', FILE, program), ('bin/sh', LINK, 'busybox'))
    top = tar_of(*entries(str(canary)))
    image = push_layers(strata, f'demo/hostile-{trick}', [base, top])
    before = {p.name for p in (strata.state / 'rootfs').iterdir()}
    job = strata.wait_job('demo', strata.submit('demo', {
        'name': 'hostile', 'image': image, 'command': ['/bin/busybox', 'true'], 'resources': SMALL})['id'])
    chain = hashlib.sha256(f'{sha(base)} {sha(top)}'.encode()).hexdigest()
    if words is None:
        assert job['state'] == 'succeeded', job['reason']
        return
    reason = job['history'][-1]['reason']
    assert job['state'] == 'failed' and words in reason, job
    assert 'layer' in reason or 'image' in reason
    after = {p.name for p in (strata.state / 'rootfs').iterdir()}
    assert chain not in after or not (strata.state / 'rootfs' / chain / 'done').exists()
    assert len(after - before) <= 2


def tar_of_directories(n):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as t:
        for i in range(n):
            info = tarfile.TarInfo(f'd{i}')
            info.type = DIR
            t.addfile(info)
    return out.getvalue()


def test_a_layer_of_very_many_directories_leaves_what_is_for_others(small):
    s = small.start()
    st = os.statvfs(s.disk.mount)
    image = push_layers(s, 'demo/directories', [tar_of_directories(30_000)])
    job = s.submit('demo', {'name': 'dirs', 'image': image, 'command': ['/x'], 'resources': SMALL})
    least = [st.f_blocks, st.f_files]

    def refused():
        now = os.statvfs(s.disk.mount)
        least[:] = min(least[0], now.f_bavail), min(least[1], now.f_favail)
        return 'nearly full' in json.dumps(s.job('demo', job['id']))
    wait_for(refused, 60, 'the job says why it cannot start')
    s.api('POST', f'{JOBS}/{job["id"]}/cancel')
    s.wait_job('demo', job['id'])
    assert least[0] >= st.f_blocks * 0.04 and least[1] >= st.f_files * 0.04, least


def gzip_members(*parts):
    """One stream of gzip members; a part is bytes, or (bytes, how often)."""
    return b''.join(gzip.compress(part[0], mtime=0) * part[1] if isinstance(part, tuple) else gzip.compress(part, 1, mtime=0) for part in parts)


def head_of(name, size=0):
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def heads_of(n):
    """Headers of n empty files, quickly: only the number and the sum change."""
    plain = head_of('f0000000')
    total = int(plain[148:154], 8) - 7 * ord('0')
    return b''.join(b'f%07d' % i + plain[8:148] + b'%06o\0 ' % (total + sum(b'%07d' % i)) + plain[156:] for i in range(n))


BOMBS = {
    '10 GiB of zeroes in 10 MB': (lambda: gzip_members(head_of('zeroes', 10 << 30), (bytes(64 << 20), 160)), 'nearly full'),
    'a million files': (lambda: gzip_members(heads_of(1_000_000)), 'no room for more files'),
}


@pytest.mark.parametrize('bomb', BOMBS)
def test_a_bomb_is_refused_while_it_unpacks_and_gives_the_disk_back(small, bomb):
    s = small.start()
    make, words = BOMBS[bomb]
    packed = make()
    assert len(packed) < 48 << 20
    image = push_layers(s, 'demo/bomb', [], ['sha256:' + '1' * 64], [packed])
    before, inodes = s.disk.free_bytes(), os.statvfs(s.disk.mount).f_favail
    job = s.submit('demo', {'name': 'bomb', 'image': image, 'command': ['/x'], 'resources': SMALL})
    wait_for(lambda: words in json.dumps(s.job('demo', job['id'])), 120, 'the job says why it cannot start')
    assert s.api('GET', '/readyz').status_code == 200
    s.api('POST', f'{JOBS}/{job["id"]}/cancel')
    s.wait_job('demo', job['id'])
    wait_for(lambda: s.disk.free_bytes() > before - (2 << 20) and os.statvfs(s.disk.mount).f_favail > inodes - 100, 60, 'the disk is given back')
    push_layers(s, 'demo/after', [tar_of(('x', FILE, os.urandom(1 << 20)))])
    assert not [p for p in (s.state / 'rootfs').iterdir() if p.name.startswith('1' * 64)]


@pytest.mark.parametrize('layer, words', [
    (lambda: gzip_members(head_of('huge', 300 << 30), bytes(1 << 20)), ('larger than', 'huge')),
    (lambda: gzip_members((head_of('./') * 500_000, 9)), ('more than 4000000 entries',))], ids=['bytes', 'entries'])
def test_a_layer_of_more_than_any_may_have_fails(strata, layer, words):
    strata.project('demo')
    image = push_layers(strata, 'demo/too-much', [], ['sha256:' + '2' * 64], [layer()])
    job = strata.wait_job('demo', strata.submit('demo', {'name': 'much', 'image': image, 'command': ['/x'], 'resources': SMALL})['id'])
    assert job['state'] == 'failed' and all(w in job['history'][-1]['reason'] for w in words), job


def test_an_attribute_that_the_disk_cannot_keep_is_the_image_s_fault(small):
    s = small.start()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as t:
        info = tarfile.TarInfo('etc/large')
        info.pax_headers = {'SCHILY.xattr.user.big': 'x' * 20_000}
        t.addfile(info)
    image = push_layers(s, 'demo/attribute', [out.getvalue()])
    job = s.wait_job('demo', s.submit('demo', {
        'name': 'attribute', 'image': image, 'command': ['/x'], 'resources': SMALL})['id'])
    assert job['state'] == 'failed', job
    assert 'etc/large' in job['history'][-1]['reason'] and 'user.big' in job['history'][-1]['reason']


def test_a_layer_is_only_had_with_its_bytes(strata):
    """The diff_ids of another project's private image, with other blobs, do not give its files."""
    assert strata.busybox
    program = pathlib.Path('/bin/busybox').read_bytes()
    secret = tar_of(('bin', DIR, ''), ('bin/busybox', FILE, program), ('secret', FILE, os.urandom(16)))

    def run(project, image):
        return strata.wait_job(project, strata.submit(project, {
            'name': 'cat', 'image': image, 'command': ['/bin/busybox', 'cat', '/secret'], 'resources': SMALL})['id'])

    job = run('demo', push_layers(strata, 'demo/private', [secret]))
    assert job['state'] == 'succeeded', job
    for blob in (gzip.compress(b'junk'), gzip.compress(tar_of(('x', FILE, b'x'))), gzip.compress(secret)[:-100]):
        job = run('mallory', push_layers(strata, 'mallory/stolen', [], [sha(secret)], [blob]))
        assert job['state'] == 'failed' and 'layer' in job['history'][-1]['reason'], job
    job = run('mallory', push_layers(strata, 'mallory/owned', [secret], None, [gzip.compress(secret, 9, mtime=7)]))
    assert job['state'] == 'succeeded', 'whoever has the bytes has the layer, however they are packed'
    chain = strata.state / 'rootfs' / hashlib.sha256(secret).hexdigest()
    assert len(list(chain.glob('blob-*'))) == 2
    assert not list((strata.state / 'rootfs').glob('.*'))


def test_a_layer_that_is_not_what_the_image_says_fails_the_job(strata):
    assert strata.busybox
    good = tar_of(('a', FILE, os.urandom(100_000)))
    packed = gzip.compress(good, 1, mtime=0)
    images = {'demo/other-diff': ([good], ['sha256:' + '1' * 64], [packed], 'sha256:1111'),
              'demo/cut-gzip': ([good], None, [packed[:-1000]], 'layer'),
              'demo/no-tar': ([b'x' * 5000], None, [gzip.compress(b'x' * 5000, mtime=0)], 'layer'),
              'demo/no-gzip': ([good], None, [b'\x1f\x8b' + os.urandom(2000)], 'layer')}
    for repo, (layers, diff_ids, blobs, words) in images.items():
        image = push_layers(strata, repo, layers, diff_ids, blobs)
        job = strata.wait_job('demo', strata.submit('demo', {
            'name': 'broken', 'image': image, 'command': ['/a'], 'resources': SMALL})['id'])
        assert job['state'] == 'failed' and words in job['history'][-1]['reason'], job
    assert strata.run_job('demo', ['true'])['state'] == 'succeeded'


# --- crowds and dawdlers ---

@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12000:
        pytest.skip(f'only {hard} open files are allowed here')
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def rss_bytes(pid):
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1]) * 1024
    raise AssertionError('no VmRSS')


def test_5000_idle_connections_leave_the_server_to_the_others(own_strata, many_files):
    s = own_strata().start()
    assert s.run_job('demo', ['true'])['state'] == 'succeeded'
    server = s.pids()['server']
    before, threads = rss_bytes(server), len(os.listdir(f'/proc/{server}/task'))
    idle = []
    try:
        for i in range(5000):
            c = socket.create_connection(('127.0.0.1', s.port), 20)
            idle.append(c)
            if i % 2:  # half of them have had an answer and are kept
                c.sendall(b'GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n')
        for c in idle[1::2]:
            assert c.recv(15) == b'HTTP/1.1 200 OK'
        assert rss_bytes(server) - before < 10 << 20
        assert len(os.listdir(f'/proc/{server}/task')) < threads + 70
        for _ in range(20):
            assert requests.get(s.url + '/readyz', timeout=5).status_code == 200
            assert s.api('GET', '/api/v1/me', timeout=5).status_code == 200
        job = s.run_job('demo', ['sh', '-c', 'echo with 5000'])
        assert s.job_log('demo', job['id']) == 'with 5000\n'
    finally:
        for c in idle:
            c.close()
    assert s.stop() == 0


def test_uploads_of_a_byte_a_second_hold_up_nobody_and_leave_nothing(strata):
    strata.volume('demo', 'slow')
    files = '/api/v1/projects/demo/volumes/slow/files'
    auth = f'Authorization: Bearer {strata.token()}\r\n'
    where = strata.api('POST', '/v2/demo/slow/blobs/uploads/').headers['Location']
    targets = ([f'PUT {files}/slow-{i}' for i in range(8)] +
               [f'POST /v2/demo/slow/blobs/uploads/?digest=sha256:{"0" * 63}{i}' for i in range(4)] +
               ['POST ' + JOBS] * 3 + [f'PATCH {where}'])
    slow, stop = [], threading.Event()
    for target in targets:
        c = socket.create_connection(('127.0.0.1', strata.port), 20)
        c.sendall(f'{target} HTTP/1.1\r\nHost: t\r\n{auth}Content-Length: 100000\r\n\r\n'.encode())
        slow.append(c)

    def drip():
        while not stop.wait(1):
            for c in slow:
                try:
                    c.send(b' ')
                except OSError:
                    pass
    dripper = threading.Thread(target=drip)
    dripper.start()
    try:
        until = time.monotonic() + 5
        while time.monotonic() < until:  # as long as the slow ones are surely there
            assert strata.api('GET', '/api/v1/me', timeout=3).status_code == 200
            assert strata.api('PUT', f'{files}/quick', data=b'quick', timeout=3).status_code in (200, 201)
            put_blob(strata, 'demo/slow', os.urandom(100))
        answers = []
        for c in slow:
            c.settimeout(60)
            answers.append(c.recv(12))
        assert answers == [b'HTTP/1.1 408'] * len(slow)
    finally:
        stop.set()
        dripper.join()
        for c in slow:
            c.close()
    tree = strata.api('GET', '/api/v1/projects/demo/volumes/slow/tree').json()['items']
    assert [i['name'] for i in tree] == ['quick']


def test_slow_strangers_never_get_all_workers(strata):
    """Fast enough for the minimum rate, slow enough to hold a worker for a quarter of an hour: some must stay free."""
    token = strata.token()
    slow, stop = [], threading.Event()
    for _ in range(80):
        c = socket.create_connection(('127.0.0.1', strata.port), 20)
        c.sendall(b'POST /api/v1/login HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n')
        slow.append(c)

    def drip():
        while not stop.wait(0.25):
            for c in slow:
                try:
                    c.send(b' ' * 600, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                except OSError:
                    pass
    dripper = threading.Thread(target=drip)
    dripper.start()
    try:
        until = time.monotonic() + 4
        while time.monotonic() < until:
            assert strata.api('GET', '/api/v1/me', token=token, timeout=5).status_code == 200
    finally:
        stop.set()
        dripper.join()
        for c in slow:
            c.close()


# --- killed in the middle ---

class Sender(threading.Thread):
    """Files and blobs one after another; `kept` holds what was acknowledged."""

    def __init__(self, s, number, ready):
        super().__init__(daemon=True)
        self.s, self.number, self.ready, self.kept, self.began = s, number, ready, {}, set()

    def run(self):
        i = 0
        while True:
            i += 1
            data = os.urandom(200_000 + 1000 * i)
            path = f'{FILES}/{self.number}-{i}' if i % 2 else f'/v2/demo/kill/blobs/{sha(data)}'
            self.began.add(path)
            try:
                r = self.s.api('PUT', path, data=data) if i % 2 else push_blob(self.s, 'demo/kill', data)
            except requests.RequestException:
                return
            if r.status_code not in (200, 201):
                return
            self.kept[path] = data
            if i >= 4:
                self.ready.set()


def hang(s, head, data):
    """A request whose body stops in the middle."""
    c = socket.create_connection(('127.0.0.1', s.port), 20)
    c.sendall(f'{head} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {s.token()}\r\n'
              f'Content-Length: {len(data)}\r\n\r\n'.encode() + data[:len(data) // 2])
    return c


def test_a_kill_during_uploads_keeps_what_was_acknowledged_and_nothing_else(own_strata):
    s = own_strata().start()
    s.volume('demo', 'data')
    for _ in range(3):
        senders = [Sender(s, f'{uuid.uuid4().hex[:6]}', threading.Event()) for _ in range(3)]
        cut = os.urandom(5_000_000)
        halves = [hang(s, f'PUT {FILES}/cut', cut), hang(s, f'POST /v2/demo/kill/blobs/uploads/?digest={sha(cut)}', cut)]
        for sender in senders:
            sender.start()
        for sender in senders:
            assert sender.ready.wait(60)
        s.kill()
        for sender in senders:
            sender.join(60)
        for c in halves:
            c.close()
        s.start()
        for sender in senders:
            assert len(sender.kept) >= 4
            for path, data in sender.kept.items():
                assert s.api('GET', path).content == data, path
            for path in sender.began - set(sender.kept):  # answered or not: whole, or not there
                r = s.api('GET', path)
                assert r.status_code == 404 or int(r.headers['Content-Length']) >= 200_000, path
        assert s.api('GET', f'{FILES}/cut').status_code == 404
        assert s.api('HEAD', f'/v2/demo/kill/blobs/{sha(cut)}').status_code == 404
        names = {i['name'] for i in s.api('GET', '/api/v1/projects/demo/volumes/data/tree?limit=1000').json()['items']}
        assert 'cut' not in names and all(not n.startswith('.') for n in names)
        assert s.api('PUT', f'{FILES}/cut', data=cut).status_code == 201
        assert s.api('DELETE', f'{FILES}/cut').status_code == 204
    assert s.stop() == 0
    integrity(s)


def test_sigterm_leaves_containers_running_with_their_output_and_exit_codes(own_strata):
    s = own_strata().start()
    line = 'i=0; while [ $i -lt {n} ]; do i=$((i+1)); echo line $i; sleep 0.05; done; exit {code}'
    short = s.submit('demo', shell(s, line.format(n=40, code=21)))
    long = s.submit('demo', shell(s, line.format(n=160, code=22)))
    for job in (short, long):
        s.wait_job('demo', job['id'], ('running',))
    began = time.monotonic()
    assert s.stop() == 0
    assert time.monotonic() - began < 10
    logs = {j['id']: s.state / 'jobs' / (j['id'] + '-1') / 'log' for j in (short, long)}
    size = logs[long['id']].stat().st_size
    wait_for(lambda: logs[long['id']].stat().st_size > size, 10, 'output goes on without us')
    wait_for((logs[short['id']].parent / 'exit').exists, 30, 'one ends without us')
    s.start()
    for job, n, code in ((short, 40, 21), (long, 160, 22)):
        end = s.wait_job('demo', job['id'])
        assert end['state'] == 'failed' and end['exit']['code'] == code and end['attempt'] == 1, end
        assert s.job_log('demo', job['id']) == ''.join(f'line {i}\n' for i in range(1, n + 1))


# --- two of them ---

def test_two_servers_side_by_side_do_not_disturb_each_other(own_strata):
    one, two = own_strata().start(), own_strata().start()
    jobs = {}
    for s, code in ((one, 31), (two, 32)):
        s.volume('demo', 'data')
        assert s.api('PUT', f'{FILES}/who', data=str(code).encode()).status_code == 201
        jobs[s] = s.submit('demo', shell(s, f'cat /data/who; while [ ! -e /data/go ]; do sleep 0.05; done; exit {code}',
                                         volumes=[{'name': 'data', 'path': '/data'}]))
        s.wait_job('demo', jobs[s]['id'], ('running',))
    assert requests.get(one.url + '/api/v1/me', headers={'Authorization': 'Bearer ' + two.token()},
                        timeout=10).status_code == 401
    assert one.api('GET', f'{JOBS}/{jobs[two]["id"]}').status_code == 404
    for how in (one.kill, one.stop):  # its next start sweeps what is orphaned: of its own only
        how()
        one.start()
        assert one.run_job('demo', ['true'])['state'] == 'succeeded'
        assert two.job('demo', jobs[two]['id'])['state'] == 'running'
        assert one.job('demo', jobs[one]['id'])['state'] == 'running'
    assert one.api('PUT', f'{FILES}/go', data=b'').status_code == 201
    end = one.wait_job('demo', jobs[one]['id'])
    assert (end['exit']['code'], one.job_log('demo', end['id'])) == (31, '31')
    assert two.job('demo', jobs[two]['id'])['state'] == 'running'
    assert one.stop() == 0
    assert two.api('PUT', f'{FILES}/go', data=b'').status_code == 201
    end = two.wait_job('demo', jobs[two]['id'])
    assert (end['exit']['code'], two.job_log('demo', end['id'])) == (32, '32')


def test_basic_credentials_and_broken_ones_are_answered_not_crashed(strata):
    for value in ('Bearer ' + 'x' * 5000, 'Bearer strata_', 'Basic ' + base64.b64encode(b'\xff\x00:\xff').decode(), 'Basic !!',
                  'Basic', 'Digest a=b'):
        r = requests.get(strata.url + '/api/v1/me', headers={'Authorization': value}, timeout=10)
        assert r.status_code == 401, (value[:20], r.status_code, r.text)
