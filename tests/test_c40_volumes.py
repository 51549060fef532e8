"""Volumes: files in, files out, nothing outside, nothing lost."""
import base64
import concurrent.futures
import hashlib
import json
import os
import pathlib
import socket
import subprocess
import threading
import time
import urllib.parse
import uuid

import pytest
import requests

from conftest import wait_for

PROJECT = 'vol'


@pytest.fixture
def volume(strata):
    """The URL path of a fresh volume."""
    name = 'v' + uuid.uuid4().hex[:10]
    strata.volume(PROJECT, name)
    return f'/api/v1/projects/{PROJECT}/volumes/{name}'


def sha(data):
    return hashlib.sha256(data).hexdigest()


def digest_field(data):
    return 'sha-256=:' + base64.b64encode(hashlib.sha256(data).digest()).decode() + ':'


def put(strata, volume, path, data, **kwargs):
    return strata.api('PUT', f'{volume}/files/{path}', data=data, **kwargs)


def get(strata, volume, path, **kwargs):
    return strata.api('GET', f'{volume}/files/{path}', **kwargs)


def part(strata, volume, path, upload, data, first, total, **headers):
    headers = {'Content-Range': f'bytes {first}-{first + len(data) - 1}/{total}', **headers}
    return strata.api('PUT', f'{volume}/files/{path}?upload={upload}', data=data, headers=headers)


def offset(strata, volume, path, upload):
    r = strata.api('HEAD', f'{volume}/files/{path}?upload={upload}')
    assert r.status_code == 200
    return int(r.headers['Upload-Offset'])


def names(strata, volume, path='', **params):
    items, after = [], None
    while True:
        query = {**params, **({'after': after} if after else {})}
        r = strata.api('GET', f'{volume}/tree' + (f'/{path}' if path else ''), params=query)
        assert r.status_code == 200, r.text
        items += r.json()['items']
        after = r.json()['next']
        if after is None:
            return items


def directory(strata, volume):
    """Where the volume lies on the host: what a job could do there, root can."""
    return strata.state / 'volumes' / strata.api('GET', volume).json()['id']


# --- volumes ---

def test_a_volume_is_made_listed_shown_and_deleted(strata):
    strata.project(PROJECT)
    base = f'/api/v1/projects/{PROJECT}/volumes'
    name = 'made-' + uuid.uuid4().hex[:8]
    r = strata.api('POST', base, json={'name': name})
    assert r.status_code == 201, r.text
    made = r.json()
    assert made['name'] == name and made['id'].startswith('v-') and made['created_at']
    assert (made['files'], made['size_bytes']) == (0, 0)
    assert strata.api('POST', base, json={'name': name}).status_code == 409
    assert name in [v['name'] for v in strata.api('GET', base, params={'limit': 1000}).json()['items']]
    where = strata.state / 'volumes' / made['id']
    assert where.is_dir()
    assert strata.api('DELETE', f'{base}/{name}').status_code == 204
    assert not where.exists()
    assert strata.api('GET', f'{base}/{name}').status_code == 404
    assert strata.api('POST', base, json={'name': name}).status_code == 201
    assert strata.api('DELETE', f'{base}/{name}').status_code == 204


@pytest.mark.parametrize('name', ['', '..', 'A', 'a/b', '-a', 'x' * 65, 'a b', '\u00e4'])
def test_a_bad_name_is_refused(strata, name):
    strata.project(PROJECT)
    r = strata.api('POST', f'/api/v1/projects/{PROJECT}/volumes', json={'name': name})
    assert r.status_code == 400 and r.json()['error']['kind'] == 'invalid'


def test_lists_come_in_pages(strata):
    project = 'pages' + uuid.uuid4().hex[:6]
    for n in range(5):
        strata.volume(project, f'p{n}')
    base, seen, after = f'/api/v1/projects/{project}/volumes', [], None
    for _ in range(5):
        page = strata.api('GET', base, params={'limit': 2, **({'after': after} if after else {})}).json()
        seen += [v['name'] for v in page['items']]
        after = page['next']
        if after is None:
            break
    assert seen == [f'p{n}' for n in range(5)]


def test_an_unknown_volume_is_404_and_the_error_names_those_there_are(strata, volume):
    r = strata.api('GET', f'/api/v1/projects/{PROJECT}/volumes/nope/tree')
    assert r.status_code == 404 and 'there are: ' in r.json()['error']['message']


def test_figures_follow_uploads_and_removals(strata, volume):
    put(strata, volume, 'a/b', b'12345')
    put(strata, volume, 'c', b'123')
    shown = strata.api('GET', volume).json()
    assert (shown['files'], shown['size_bytes']) == (2, 8)
    strata.api('DELETE', f'{volume}/files/a?recursive=1')

    def smaller():
        shown = strata.api('GET', volume).json()
        return (shown['files'], shown['size_bytes']) == (1, 3)
    wait_for(smaller, 10, 'figures after the removal')


def test_roles_decide(strata, volume):
    strata.user('vol-guest', PROJECT, 'guest')
    strata.user('vol-dev', PROJECT, 'developer')
    strata.user('vol-none')
    assert put(strata, volume, 'x', b'x', user='vol-dev').status_code == 201
    assert put(strata, volume, 'x', b'x', user='vol-guest').status_code == 403
    assert get(strata, volume, 'x', user='vol-none').status_code in (403, 404)
    assert get(strata, volume, 'x', user=None).status_code in (401, 404)
    assert strata.api('DELETE', volume, user='vol-guest').status_code == 403


# --- files ---

def test_what_is_put_comes_back(strata, volume):
    data = os.urandom(3_000_001)
    r = put(strata, volume, 'deep/er/data.bin', data)
    assert r.status_code == 201, r.text
    assert r.json() == {'path': 'deep/er/data.bin', 'size_bytes': len(data), 'sha256': sha(data)}
    r = get(strata, volume, 'deep/er/data.bin')
    assert r.content == data
    assert r.headers['Content-Type'] == 'application/octet-stream'
    assert r.headers['Content-Disposition'].startswith('attachment')
    assert put(strata, volume, 'deep/er/data.bin', b'').status_code == 200
    assert get(strata, volume, 'deep/er/data.bin').content == b''


def test_a_chunked_body_is_taken(strata, volume):
    pieces = [os.urandom(n) for n in (1, 70_000, 300_000, 5)]
    r = put(strata, volume, 'chunked', iter(pieces))
    assert r.status_code == 201 and r.json()['sha256'] == sha(b''.join(pieces))
    assert get(strata, volume, 'chunked').content == b''.join(pieces)


def test_ranges_and_conditions(strata, volume):
    data = bytes(range(256)) * 40
    put(strata, volume, 'r', data)
    r = get(strata, volume, 'r', headers={'Range': 'bytes=100-199'})
    assert r.status_code == 206 and r.content == data[100:200]
    assert r.headers['Content-Range'] == f'bytes 100-199/{len(data)}'
    assert get(strata, volume, 'r', headers={'Range': 'bytes=-10'}).content == data[-10:]
    assert get(strata, volume, 'r', headers={'Range': f'bytes={len(data)}-'}).status_code == 416
    etag = r.headers['ETag']
    assert get(strata, volume, 'r', headers={'If-None-Match': etag}).status_code == 304
    put(strata, volume, 'r', data)
    r = get(strata, volume, 'r', headers={'Range': 'bytes=0-9', 'If-Range': etag})
    assert r.status_code == 200, 'another version is not continued'
    head = strata.api('HEAD', f'{volume}/files/r')
    assert head.headers['Content-Length'] == str(len(data)) and head.content == b''


@pytest.mark.parametrize('name', ['page.html', 'image.svg', 'a.xml', 'a.js', 'a.xhtml'])
def test_nothing_is_served_that_a_browser_runs(strata, volume, name):
    put(strata, volume, name, b'<script>alert(1)</script>')
    r = get(strata, volume, name)
    assert r.headers['Content-Type'] == 'application/octet-stream'
    assert r.headers['X-Content-Type-Options'] == 'nosniff'
    assert r.headers['Content-Disposition'].startswith('attachment')


def test_digests_are_checked(strata, volume):
    data = b'the right bytes'
    ok = put(strata, volume, 'd', data, headers={'Content-Digest': digest_field(data)})
    assert ok.status_code == 201
    wrong = put(strata, volume, 'd', b'other bytes', headers={'Content-Digest': digest_field(data)})
    assert wrong.status_code == 400 and sha(b'other bytes') in wrong.json()['error']['message']
    assert get(strata, volume, 'd').content == data, 'the file that was there stays'
    assert put(strata, volume, 'e', b'x', headers={'Repr-Digest': digest_field(data)}).status_code == 400
    assert put(strata, volume, 'e', b'x', headers={'Content-Digest': 'md5=:1B2M2Y8AsgTpgAmY7PhCfg==:'}).status_code == 400
    assert get(strata, volume, 'e').status_code == 404
    assert list((directory(strata, volume) / '.strata/uploads').iterdir()) == []


def test_directories_are_made_renamed_and_removed(strata, volume):
    assert strata.api('POST', f'{volume}/dirs/a/b/c').status_code == 201
    assert strata.api('POST', f'{volume}/dirs/a/b/c').status_code == 200
    put(strata, volume, 'a/b/file', b'1')
    put(strata, volume, 'other', b'2')

    def rename(**body):
        return strata.api('POST', f'{volume}/rename', json=body).status_code
    assert rename(**{'from': 'a/b', 'to': 'x/y'}) == 204
    assert get(strata, volume, 'x/y/file').content == b'1'
    assert rename(**{'from': 'other', 'to': 'x/y/file'}) == 409
    assert rename(**{'from': 'other', 'to': 'x/y/file', 'replace': True}) == 204
    assert get(strata, volume, 'x/y/file').content == b'2'
    assert rename(**{'from': 'nope', 'to': 'z'}) == 404
    assert rename(**{'from': 'x', 'to': '../z'}) == 400
    assert put(strata, volume, 'x/y', b'').status_code == 409, 'a directory is not replaced'
    assert put(strata, volume, 'x/y/file/z', b'').status_code == 409
    assert strata.api('DELETE', f'{volume}/files/x').status_code == 409
    assert strata.api('DELETE', f'{volume}/files/x?recursive=1').status_code == 204
    assert [i['name'] for i in names(strata, volume)] == ['a']
    assert strata.api('DELETE', f'{volume}/files/x').status_code == 404
    assert strata.api('GET', f'{volume}/tree/nope').status_code == 404


def test_ten_thousand_files_are_listed_in_pages(strata, volume):
    where = directory(strata, volume) / 'many'
    where.mkdir()
    for n in range(10_000):
        (where / f'f{n:05d}').touch()
    started = time.monotonic()
    found = [i['name'] for i in names(strata, volume, 'many', limit=1000)]
    assert found == [f'f{n:05d}' for n in range(10_000)]
    assert time.monotonic() - started < 20
    assert len(strata.api('GET', f'{volume}/tree/many').json()['items']) == 100
    wait_for(lambda: strata.api('GET', volume).json()['files'] == 10_000, 20, 'figures of files a job made')


def test_rows_tell_what_a_thing_is(strata, volume):
    where = directory(strata, volume)
    put(strata, volume, 'file.txt', b'12345')
    strata.api('POST', f'{volume}/dirs/dir')
    (where / 'link').symlink_to('file.txt')
    os.mkfifo(where / 'pipe')
    rows = {i['name']: i for i in names(strata, volume)}
    assert {n: r['type'] for n, r in rows.items()} == {'dir': 'dir', 'file.txt': 'file', 'link': 'link', 'pipe': 'other'}
    assert rows['file.txt']['size_bytes'] == 5 and rows['file.txt']['mode'] == '0664'
    assert get(strata, volume, 'link').content == b'12345'
    assert get(strata, volume, 'pipe').status_code == 409
    assert get(strata, volume, 'dir').status_code == 409


def test_names_of_any_bytes_are_usable(strata, volume):
    for raw in (b'\xff\xfe.bin', '\u5716\U0001f600'.encode(), b'a b%41?#&"\\', b'n' * 255):
        path = urllib.parse.quote(raw, safe='')
        assert put(strata, volume, path, raw).status_code == 201, raw
        assert get(strata, volume, path).content == raw
    rows = names(strata, volume)
    shown = {urllib.parse.unquote_to_bytes(r['name_raw']) if 'name_raw' in r else r['name'].encode() for r in rows}
    assert shown == {b'\xff\xfe.bin', '\u5716\U0001f600'.encode(), b'a b%41?#&"\\', b'n' * 255}
    assert [r['name'] for r in rows if 'name_raw' in r] == ['\ufffd\ufffd.bin']
    assert names(strata, volume, limit=1) == rows, 'the cursor survives any name'
    r = strata.api('POST', f'{volume}/rename', json={'from_raw': '%FF%FE.bin', 'to': 'plain.bin'})
    assert r.status_code == 204
    assert get(strata, volume, 'plain.bin').content == b'\xff\xfe.bin'
    assert put(strata, volume, 'n' * 256, b'').status_code == 400


# --- nothing outside ---

@pytest.mark.parametrize('path', [
    '../../admin.password', '%2e%2e/%2e%2e/admin.password', '..%2f..%2fadmin.password', '/etc/passwd',
    '%2fetc%2fpasswd', 'a/../../b', './a', 'a//b', 'a/./b', 'a%00b', '.strata/uploads/x', '.strata'])
def test_paths_do_not_leave(strata, volume, path):
    """Sent by hand: clients would tidy them up."""
    for method in ('GET', 'PUT', 'DELETE'):
        with socket.create_connection(('127.0.0.1', strata.port), timeout=20) as s:
            s.sendall((f'{method} {volume}/files/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n'
                       f'Authorization: Bearer {strata.token()}\r\nContent-Length: 0\r\n\r\n').encode())
            status = int(s.makefile('rb').readline().split()[1])
        assert status in (400, 404, 405), (method, status)
    assert (strata.state / 'admin.password').exists()


@pytest.mark.parametrize('target', ['/etc', '/etc/passwd', '../../..', '../../../admin.password', '/proc/self/root',
                                    '/proc/self/root/etc/passwd', '/proc/self/fd/0', '/dev/zero'])
def test_links_do_not_lead_outside(strata, volume, target):
    (directory(strata, volume) / 'link').symlink_to(target)
    for path in ('link', 'link/passwd', 'link/new/file'):
        r = get(strata, volume, path)
        assert r.status_code in (400, 403, 404, 409) and b'root:' not in r.content
    assert put(strata, volume, 'link/strata-was-here', b'x').status_code in (400, 403, 404, 409)
    assert strata.api('GET', f'{volume}/tree/link').status_code in (400, 403, 404, 409)
    assert put(strata, volume, 'link', b'replaces the link itself').status_code == 200
    assert get(strata, volume, 'link').content == b'replaces the link itself'
    assert not os.path.exists('/etc/strata-was-here')


def test_a_race_of_links_never_leads_outside(strata, volume):
    where = directory(strata, volume)
    put(strata, volume, 'real/passwd', b'inside')
    (where / 'bad').symlink_to('/etc')
    stop = threading.Event()

    def swap():
        """x is in turn the directory and the link."""
        while not stop.is_set():
            for name in ('real', 'bad'):
                try:
                    os.rename(where / name, where / 'x')
                    os.rename(where / 'x', where / name)
                except OSError:  # the server has just made a directory x
                    os.rename(where / 'x', where / ('aside' + uuid.uuid4().hex))
    racer = threading.Thread(target=swap)
    racer.start()
    inside = 0
    try:
        for _ in range(200):
            r = get(strata, volume, 'x/passwd')
            assert b'root:' not in r.content
            inside += r.content == b'inside'
            assert strata.api('POST', f'{volume}/dirs/x/strata-was-here').status_code != 500
    finally:
        stop.set()
        racer.join()
    assert not os.path.exists('/etc/strata-was-here')


# --- uploads in parts ---

def test_an_upload_in_parts(strata, volume):
    data, upload = os.urandom(300_000), uuid.uuid4().hex
    assert offset(strata, volume, 'p', upload) == 0
    r = part(strata, volume, 'p', upload, data[:100_000], 0, len(data))
    assert r.status_code == 202 and r.headers['Upload-Offset'] == '100000'
    assert get(strata, volume, 'p').status_code == 404 and names(strata, volume) == []
    assert offset(strata, volume, 'p', upload) == 100_000
    for wrong in (0, 50_000, 100_001, 200_000):
        r = part(strata, volume, 'p', upload, data[wrong:], wrong, len(data))
        assert r.status_code == 409 and r.headers['Upload-Offset'] == '100000'
    r = part(strata, volume, 'p', upload, data[100_000:200_000], 100_000, len(data))
    assert r.headers['Upload-Offset'] == '200000'
    r = part(strata, volume, 'p', upload, data[200_000:], 200_000, len(data),
             **{'Repr-Digest': digest_field(data)})
    assert r.status_code == 201 and r.json() == {'path': 'p', 'size_bytes': len(data), 'sha256': sha(data)}
    assert get(strata, volume, 'p').content == data
    assert offset(strata, volume, 'p', upload) == 0, 'done: forgotten'


def test_an_upload_of_many_small_parts_is_not_read_again_each_time(strata, volume):
    data, upload = os.urandom(64 * 4096), uuid.uuid4().hex
    for n in range(64):
        r = part(strata, volume, 'p', upload, data[n * 4096:(n + 1) * 4096], n * 4096, len(data))
    assert r.status_code == 201 and r.json()['sha256'] == sha(data)


def test_digests_of_parts(strata, volume):
    data, upload = os.urandom(30_000), uuid.uuid4().hex
    first, rest = data[:10_000], data[10_000:]
    bad = part(strata, volume, 'p', upload, first, 0, len(data), **{'Content-Digest': digest_field(rest)})
    assert bad.status_code == 400 and offset(strata, volume, 'p', upload) == 0
    assert part(strata, volume, 'p', upload, first, 0, len(data),
                **{'Content-Digest': digest_field(first)}).status_code == 202
    bad = part(strata, volume, 'p', upload, rest, 10_000, len(data), **{'Content-Digest': digest_field(first)})
    assert bad.status_code == 400 and offset(strata, volume, 'p', upload) == 10_000
    assert part(strata, volume, 'p', upload, rest, 10_000, len(data),
                **{'Content-Digest': digest_field(rest)}).status_code == 201
    bad = part(strata, volume, 'q', upload, data, 0, len(data), **{'Repr-Digest': digest_field(rest)})
    assert bad.status_code == 400 and get(strata, volume, 'q').status_code == 404


@pytest.mark.parametrize('query,headers', [
    ('?upload=short', {'Content-Range': 'bytes 0-2/3'}),
    ('?upload=UPPERCASE', {'Content-Range': 'bytes 0-2/3'}),
    ('?upload=abcdefgh', {}),
    ('?upload=abcdefgh', {'Content-Range': 'bytes 0-2/*'}),
    ('?upload=abcdefgh', {'Content-Range': 'bytes 0-3/4'}),
    ('?upload=abcdefgh', {'Content-Range': 'lines 0-2/3'}),
    ('', {'Content-Range': 'bytes 0-2/3'})])
def test_bad_parts_are_refused(strata, volume, query, headers):
    r = strata.api('PUT', f'{volume}/files/x{query}', data=b'abc', headers=headers)
    assert r.status_code == 400, r.text
    assert get(strata, volume, 'x').status_code == 404


def test_an_upload_whose_end_is_refused_can_be_finished(strata, volume):
    data, upload = os.urandom(1000), uuid.uuid4().hex
    strata.api('POST', f'{volume}/dirs/taken')
    assert part(strata, volume, 'taken', upload, data, 0, len(data)).status_code == 409
    assert strata.api('DELETE', f'{volume}/files/taken?recursive=1').status_code == 204
    first = offset(strata, volume, 'taken', upload)
    assert part(strata, volume, 'taken', upload, data[first:], first, len(data)).status_code == 201
    assert get(strata, volume, 'taken').content == data


def test_an_upload_can_be_given_up(strata, volume):
    upload = uuid.uuid4().hex
    part(strata, volume, 'p', upload, b'abc', 0, 10)
    assert strata.api('DELETE', f'{volume}/files/p?upload={upload}').status_code == 204
    assert offset(strata, volume, 'p', upload) == 0
    assert list((directory(strata, volume) / '.strata/uploads').iterdir()) == []


def cut(strata, volume, target, data, headers=''):
    """Sends a request whose body ends too early, and goes away."""
    with socket.create_connection(('127.0.0.1', strata.port), timeout=20) as s:
        s.sendall((f'PUT {volume}/files/{target} HTTP/1.1\r\nHost: x\r\n{headers}'
                   f'Authorization: Bearer {strata.token()}\r\nContent-Length: 1000000\r\n\r\n').encode() + data)
        s.shutdown(socket.SHUT_WR)
        s.recv(4096)


def test_a_cut_upload_leaves_no_file(strata, volume):
    put(strata, volume, 'keep', b'old')
    cut(strata, volume, 'cut', b'x' * 5000)
    cut(strata, volume, 'keep', b'x' * 5000)
    assert get(strata, volume, 'cut').status_code == 404
    assert get(strata, volume, 'keep').content == b'old'
    wait_for(lambda: not list((directory(strata, volume) / '.strata/uploads').iterdir()), 10, 'no temporary file')


def test_a_cut_part_goes_on_where_it_was_cut(strata, volume):
    data, upload = os.urandom(1_000_000), uuid.uuid4().hex
    cut(strata, volume, f'p?upload={upload}', data[:123_456], 'Content-Range: bytes 0-999999/1000000\r\n')
    wait_for(lambda: offset(strata, volume, 'p', upload) == 123_456, 10, 'what came is kept')
    r = part(strata, volume, 'p', upload, data[123_456:], 123_456, len(data))
    assert r.status_code == 201 and r.json()['sha256'] == sha(data)


def test_many_uploads_at_once(strata, volume):
    files = {f'many/{n}': os.urandom(50_000 + n) for n in range(40)}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda kv: put(strata, volume, *kv), files.items()))
    assert {r.status_code for r in results} == {201}
    for path, data in files.items():
        assert get(strata, volume, path).content == data


def test_changes_are_told_as_events(strata):
    name = 'events-' + uuid.uuid4().hex[:8]
    strata.project(PROJECT)
    r = strata.api('GET', '/api/v1/events', stream=True, timeout=20)
    seen = []
    arrived = threading.Event()

    def listen():
        for line in r.iter_lines():
            if line.startswith(b'data:') and name.encode() in line:
                seen.append(json.loads(line[5:])['action'])
                if seen[-1] == 'deleted':
                    arrived.set()
                    return
    reader = threading.Thread(target=listen, daemon=True)
    reader.start()
    volume = f'/api/v1/projects/{PROJECT}/volumes/{name}'
    strata.volume(PROJECT, name)
    for n in range(10):
        put(strata, volume, f'f{n}', b'x')
    strata.api('DELETE', volume)
    assert arrived.wait(15), seen
    r.close()
    assert seen[0] == 'created' and 'changed' in seen and len(seen) < 8


# --- jobs ---

def test_a_volume_that_a_job_uses_is_not_deleted(strata, volume):
    name = volume.rsplit('/', 1)[1]
    job = strata.submit(PROJECT, {'name': 'writer', 'image': strata.busybox, 'command': ['sh', '-c', 'echo hi > /data/out; sleep 600'],
                                  'resources': {'cpu': '100m', 'memory': '64Mi'},
                                  'volumes': [{'name': name, 'path': '/data', 'mode': 'rw'}]})
    strata.wait_job(PROJECT, job['id'], ('running',))
    assert strata.api('DELETE', volume).status_code == 409
    wait_for(lambda: get(strata, volume, 'out').content == b'hi\n', 20, 'the output of the job')
    strata.api('POST', f'/api/v1/projects/{PROJECT}/jobs/{job["id"]}/cancel')
    strata.wait_job(PROJECT, job['id'])
    assert strata.api('DELETE', volume).status_code == 204


def test_a_container_cannot_lead_the_server_outside(strata, volume):
    """Links that a container makes of its own view, magic ones too, mean nothing to the agent."""
    name = volume.rsplit('/', 1)[1]
    script = ('cd /data && ln -s /proc/self/root root && ln -s /proc/1/root/etc etc && ln -s /proc/self/fd/1 fd && '
              'ln -s ../../.. up && mkfifo pipe && rm -rf .strata && ln -s /etc .strata')
    job = strata.run_job(PROJECT, ['sh', '-c', script], name='linker', volumes=[{'name': name, 'path': '/data', 'mode': 'rw'}])
    assert job['state'] == 'succeeded', job
    for path in ('root/etc/passwd', 'etc/passwd', 'fd', 'up/etc/passwd', 'pipe'):
        assert get(strata, volume, path).status_code in (400, 403, 404, 409), path
    assert put(strata, volume, 'new', b'x').status_code == 201, 'the hidden directory is made again'
    assert strata.api('DELETE', volume).status_code == 204


# --- faults ---

@pytest.fixture
def own(strata, scratch):
    """A server of its own, to be killed."""
    s = type(strata)(scratch / ('own' + uuid.uuid4().hex[:6])).start()
    yield s
    s.stop()


def test_uploads_survive_kill_9(own):
    own.volume(PROJECT, 'data')
    volume = f'/api/v1/projects/{PROJECT}/volumes/data'
    data, upload = os.urandom(200_000), uuid.uuid4().hex
    put(own, volume, 'done', data)
    part(own, volume, 'p', upload, data[:150_000], 0, len(data))
    own.kill()
    own.start()
    assert get(own, volume, 'done').content == data
    assert offset(own, volume, 'p', upload) == 150_000
    r = part(own, volume, 'p', upload, data[150_000:], 150_000, len(data))
    assert r.status_code == 201 and r.json()['sha256'] == sha(data)
    assert get(own, volume, 'p').content == data


def test_a_full_disk_is_told_and_nothing_is_lost(strata, scratch):
    """The state directory on a file system of 64 MiB."""
    image, mount = scratch / 'full.img', scratch / 'full'
    image.write_bytes(b'')
    os.truncate(image, 64 << 20)
    mount.mkdir()
    subprocess.run(['mkfs.ext4', '-q', '-m', '0', image], check=True)
    if subprocess.run(['mount', '-o', 'loop', image, mount]).returncode != 0:
        pytest.skip('no loop devices here')
    s = type(strata)(mount / 'state')
    try:
        s.start()
        s.volume(PROJECT, 'data')
        volume = f'/api/v1/projects/{PROJECT}/volumes/data'
        data = os.urandom(8 << 20)
        assert put(s, volume, 'keep', data).status_code == 201

        def curl(target, *args, size):
            """curl hears an answer that comes before all is sent."""
            with subprocess.Popen(['head', '-c', str(size), '/dev/zero'], stdout=subprocess.PIPE) as zeros:
                r = subprocess.run(['curl', '-sS', '-w', '%{http_code}', '-H', f'Authorization: Bearer {s.token()}', *args,
                                    '-T', '-', f'{s.url}{volume}/files/{target}'], stdin=zeros.stdout, capture_output=True,
                                   text=True, timeout=60)
                zeros.stdout.close()
            return r.stdout

        answer = curl('big', '-H', f'Content-Length: {100 << 20}', '-H', 'Transfer-Encoding:', size=100 << 20)
        assert answer.endswith('507') and 'remove something' in answer
        answer = curl('big', size=100 << 20)  # its length is not known before
        assert answer.endswith('507') and 'the disk is full' in answer
        assert [i['name'] for i in names(s, volume)] == ['keep']
        assert not list((directory(s, volume) / '.strata/uploads').iterdir())

        upload, total = uuid.uuid4().hex, 60 << 20
        answer = curl(f'p?upload={upload}', '-H', f'Content-Range: bytes 0-{total // 2 - 1}/{total}', size=total // 2)
        assert answer.endswith('202')
        answer = curl(f'p?upload={upload}', '-H', f'Content-Range: bytes {total // 2}-{total - 1}/{total}', size=total // 2)
        assert answer.endswith('507')
        kept = offset(s, volume, 'p', upload)
        assert total // 2 <= kept < total, 'what came is kept, to go on later'
        assert s.api('DELETE', f'{volume}/files/p?upload={upload}').status_code == 204

        assert get(s, volume, 'keep').content == data
        assert put(s, volume, 'after', data).status_code == 201, 'there is space again'
        assert get(s, volume, 'after').content == data
    finally:
        s.stop()
        subprocess.run(['umount', mount], check=True)
