"""A folder as one tar: everything in it, byte for byte, and never silently less."""
import io
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tarfile
import threading
import uuid

import pytest
import requests

from conftest import wait_for

PROJECT = 'arc'
MIB = 1 << 20


@pytest.fixture
def volume(strata):
    """The URL path of a fresh volume."""
    name = 'v' + uuid.uuid4().hex[:10]
    strata.volume(PROJECT, name)
    return f'/api/v1/projects/{PROJECT}/volumes/{name}'


def directory(strata, volume):
    """Where the volume lies on the host: what a job could do there, root can."""
    return strata.state / 'volumes' / strata.api('GET', volume).json()['id']


def belong(where, *paths):
    """Files made by root here belong to the project, as a job's would."""
    owner = where.stat()
    for path in paths or [p for top, dirs, files in os.walk(os.fsencode(where)) for p in [top] + [os.path.join(top, n) for n in dirs + files]]:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def archive(strata, volume, path='', **kwargs):
    return strata.api('GET', f'{volume}/archive' + (f'/{path}' if path else ''), **kwargs)


def tree(top):
    """{path: (kind, content or target, mode, mtime)} of what is on the disk, names as bytes."""
    found = {}
    top = os.fsencode(top)
    for at, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(at, name)
            rel, st = os.path.relpath(path, top), os.lstat(path)
            if rel.split(b'/')[0] == b'.strata':
                continue
            if os.path.islink(path):
                found[rel] = ('link', os.readlink(path))
            elif os.path.isdir(path):
                found[rel] = ('dir', None, st.st_mode & 0o777)
            elif os.path.isfile(path):
                found[rel] = ('file', open(path, 'rb').read(), st.st_mode & 0o777, st.st_mtime_ns)
    return found


def unpacked(data, tool, scratch):
    """The same of an archive after `tool` has unpacked it."""
    where = scratch / ('out' + uuid.uuid4().hex[:8])
    where.mkdir()
    if tool == 'tarfile':
        with tarfile.open(fileobj=io.BytesIO(data), errors='surrogateescape') as tar:
            tar.extractall(where)
    else:
        subprocess.run([*tool.split(), '-xpf', '-'], input=data, cwd=where, check=True, env={**os.environ, 'LC_ALL': 'C.UTF-8'})
    try:
        return tree(where)
    finally:
        subprocess.run(['rm', '-rf', where], check=True)


TOOLS = ['tar --numeric-owner', 'tarfile'] + (['bsdtar --numeric-owner'] if shutil.which('bsdtar') else []) + ['busybox tar']


def hostile(where):
    """A tree with all that file systems allow."""
    for raw in (b'\xff\xfe.bin', '\u5716/\U0001f600'.encode(), b'-rf', b'a\nb', b'--checkpoint-action=exec=sh x', b' lead and trail ',
                b'n' * 255, b'd' * 200 + b'/' + b'e' * 200 + b'/' + b'f' * 200, b'back\\slash', b'.hidden', b'empty/.keep'):
        path = os.path.join(os.fsencode(where), raw)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(raw * 3)
        os.utime(path, ns=(1, 1_234_567_890_123_456_789))
    (where / 'zero').write_bytes(b'')
    for size in (511, 512, 513, 3 * MIB + 1):
        (where / f'size{size}').write_bytes(os.urandom(size))
    (where / 'mode').mkdir()
    for mode in (0o000, 0o444, 0o755, 0o4755, 0o2644):
        (where / 'mode' / f'{mode:04o}').write_bytes(b'm')
        os.chmod(where / 'mode' / f'{mode:04o}', mode)
    os.utime(where / 'zero', ns=(0, -1_500_000_000))
    (where / 'nothing-in-it').mkdir()
    (where / 'link').symlink_to('size511')
    (where / 'to-etc').symlink_to('/etc')
    (where / 'loop').symlink_to('.')
    os.symlink(b'\xfe' * 300, os.fsencode(where) + b'/long-link')
    os.link(where / 'size512', where / 'hard')
    belong(where)
    for mode in (0o4755, 0o2644):  # chown(2) has cleared them
        os.chmod(where / 'mode' / f'{mode:04o}', mode)


@pytest.mark.parametrize('tool', TOOLS)
def test_every_tool_gets_the_tree_as_it_is(strata, volume, scratch, tool):
    where = directory(strata, volume)
    hostile(where)
    r = archive(strata, volume)
    assert r.status_code == 200 and r.headers['Content-Type'] == 'application/x-tar'
    want, got = tree(where), unpacked(r.content, tool, scratch)
    if tool.startswith('busybox'):  # whole seconds, and it makes a way of its own of odd modes
        want = {k: v[:2] for k, v in want.items()}
        got = {k: v[:2] for k, v in got.items()}
    assert sorted(got) == sorted(want)
    for path, entry in want.items():
        if entry[0] == 'file' and len(entry) > 3 and tool == 'tarfile':  # a float of seconds
            assert abs(got[path][3] - entry[3]) < 1000 and got[path][:3] == entry[:3], path
        else:
            assert got[path] == entry, path


def test_names_stay_inside_and_owners_are_not_told(strata, volume):
    where = directory(strata, volume)
    hostile(where)
    with tarfile.open(fileobj=io.BytesIO(archive(strata, volume).content), errors='surrogateescape') as tar:
        members = tar.getmembers()
    assert len({m.name for m in members}) == len(members)
    for m in members:
        assert not m.name.startswith('/') and '..' not in m.name.split('/') and not m.name.startswith('.strata')
        assert (m.uid, m.gid, m.uname, m.gname) == (0, 0, '', '') and m.mode & 0o6000 == 0
        assert m.type in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE)


def test_a_folder_is_relative_to_itself(strata, volume):
    where = directory(strata, volume)
    (where / 'top/sub').mkdir(parents=True)
    (where / 'top/sub/file').write_bytes(b'x')
    (where / 'beside').write_bytes(b'y')
    belong(where)
    with tarfile.open(fileobj=io.BytesIO(archive(strata, volume, 'top').content)) as tar:
        assert tar.getnames() == ['sub', 'sub/file']
    with tarfile.open(fileobj=io.BytesIO(archive(strata, volume, 'top/sub').content)) as tar:
        assert tar.getnames() == ['file']


def test_an_empty_volume_is_an_empty_tar(strata, volume, scratch):
    r = archive(strata, volume)
    assert r.status_code == 200 and r.content == bytes(1024)
    assert unpacked(r.content, 'tar', scratch) == {}
    head = strata.api('HEAD', f'{volume}/archive')
    assert head.status_code == 200 and head.headers['Content-Type'] == 'application/x-tar' and head.content == b''


@pytest.mark.parametrize('name,plain,exact', [
    ('models', 'models.tar', 'models.tar'),
    ('a"; filename="evil.exe', 'a__ filename=_evil.exe.tar', 'a%22%3B%20filename%3D%22evil.exe.tar'),
    ('\u5716\r\nSet-Cookie: x', '_____Set-Cookie_ x.tar', '%E5%9C%96%0D%0ASet-Cookie%3A%20x.tar'),
    ('../x'.replace('/', '\\'), '.._x.tar', '..%5Cx.tar')])
def test_the_name_of_the_download_is_safe(strata, volume, name, plain, exact):
    where = directory(strata, volume)
    (where / name).mkdir()
    belong(where)
    r = archive(strata, volume, requests.utils.quote(name, safe=''))
    assert r.status_code == 200 and 'Set-Cookie' not in r.headers
    assert r.headers['Content-Disposition'] == f'attachment; filename="{plain}"; filename*=UTF-8\'\'{exact}'
    assert r.headers['X-Content-Type-Options'] == 'nosniff'


def test_what_is_no_folder_is_told_before_the_first_byte(strata, volume):
    where = directory(strata, volume)
    (where / 'file').write_bytes(b'x')
    (where / 'dir').mkdir()
    (where / 'way').symlink_to('dir')
    (where / 'out').symlink_to('/etc')
    belong(where)
    for path, status in (('file', 409), ('none', 404), ('way', 400), ('out', 400), ('.strata', 400), ('dir/..', 400)):
        r = requests.Request('GET', f'{strata.url}{volume}/archive/{path}', headers={'Authorization': 'Bearer ' + strata.token()}).prepare()
        r.url = f'{strata.url}{volume}/archive/{path}'
        with requests.Session() as s:
            answer = s.send(r, timeout=30)
        assert answer.status_code == status, (path, answer.text)
        assert answer.json()['error']['message']
    assert strata.api('GET', volume.rsplit('/', 1)[0] + '/none/archive').status_code == 404


def test_permission_is_that_of_reading_the_volume(strata, volume):
    strata.user('arc-guest', PROJECT, 'guest')
    strata.user('arc-none')
    assert archive(strata, volume, user='arc-guest').status_code == 200
    assert archive(strata, volume, user='arc-none').status_code == 404
    assert archive(strata, volume, user=None).status_code in (401, 404)
    narrow = strata.api('POST', '/api/v1/tokens', json={'name': 'n', 'scopes': ['job:read']}).json()['token']
    assert archive(strata, volume, token=narrow).status_code == 403


def test_what_cannot_be_in_a_tar_is_named_at_its_end(strata, volume):
    where = directory(strata, volume)
    os.mkfifo(where / 'pipe')
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(where / 'so\ncket'))
    os.mknod(where / 'null', 0o20666, os.makedev(1, 3))
    (where / 'strangers').mkdir(mode=0o700)  # root's, whom the agent cannot be
    (where / 'strata-left-out.txt').write_bytes(b'of the user')
    (where / 'file').write_bytes(b'x')
    belong(where, *(where / n for n in ('pipe', 'so\ncket', 'null', 'file', 'strata-left-out.txt')))
    with tarfile.open(fileobj=io.BytesIO(archive(strata, volume).content)) as tar:
        assert tar.getnames()[-1] == 'strata-left-out-2.txt', 'replaces nothing'
        assert {'file', 'strata-left-out.txt'} <= set(tar.getnames())
        note = tar.extractfile(tar.getnames()[-1]).read().decode()
        assert not {'pipe', 'null'} & set(tar.getnames())
    for line in ('pipe: is a socket, a named pipe or a device', 'so%0Acket: is a socket', 'null: is a socket', 'strangers: belongs to a user outside'):
        assert line in note, note


def slow(strata, volume, path='', size=65536):
    """A client that reads the head and so much of the body, and then waits."""
    s = socket.create_connection(('127.0.0.1', strata.port), timeout=60)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    s.sendall(f'GET {volume}/archive{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {strata.token()}\r\n\r\n'.encode())
    got = b''
    while len(got) < size:
        part = s.recv(65536)
        assert part
        got += part
    assert got.startswith(b'HTTP/1.1 200'), got[:200]
    return s, got


def rest_of(s, got):
    """All bytes of the chunks, and whether the body came to its end."""
    while part := s.recv(1 << 20):
        got += part
        if got.endswith(b'\r\n0\r\n\r\n'):
            break
    s.close()
    body, data = got.split(b'\r\n\r\n', 1)[1], b''
    while body:
        line, _, body = body.partition(b'\r\n')
        size = int(line, 16)
        if size == 0:
            return data, True
        data, body = data + body[:size], body[size + 2:]
    return data, False


def test_a_file_that_shrinks_meanwhile_is_filled_up_and_told(strata, volume):
    where = directory(strata, volume)
    (where / 'a').write_bytes(os.urandom(24 * MIB))
    (where / 'sub').mkdir()
    (where / 'sub/after').write_bytes(b'still here')
    belong(where)
    first = (where / 'a').read_bytes()
    s, got = slow(strata, volume)
    os.truncate(where / 'a', 20 * MIB)
    data, ended = rest_of(s, got)
    assert not ended, 'the connection is cut, so that nobody takes it for whole'
    assert data.endswith(bytes(1024))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        a = tar.extractfile('a').read()
        assert len(a) == 24 * MIB and a[:20 * MIB] == first[:20 * MIB] and not any(a[20 * MIB:])
        assert tar.extractfile('sub/after').read() == b'still here'
        assert b'a: became shorter while it was read' in tar.extractfile('strata-left-out.txt').read()


def test_a_file_that_grows_or_goes_meanwhile(strata, volume):
    where = directory(strata, volume)
    (where / 'a').write_bytes(bytes(24 * MIB))
    for n in range(3):
        (where / f'sub{n}').mkdir()
        (where / f'sub{n}/file').write_bytes(b'x')
    belong(where)
    s, got = slow(strata, volume)
    with open(where / 'a', 'ab') as f:
        f.write(b'more')
    shutil.rmtree(where / 'sub1')
    data, ended = rest_of(s, got)
    assert ended
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getmember('a').size == 24 * MIB, 'as long as it was when it was opened'
        assert {'sub0/file', 'sub2/file'} <= set(tar.getnames())


def test_a_client_that_leaves_stops_the_work_and_a_slow_one_costs_no_memory(strata, volume):
    where = directory(strata, volume)
    with open(where / 'big', 'wb') as f:
        f.truncate(20 << 30)  # sparse, and past 8 GiB
    belong(where)
    server = strata.pids()['server']

    def rss():
        return int(re.search(r'VmRSS:\s+(\d+)', pathlib.Path(f'/proc/{server}/status').read_text()).group(1))

    def open_files():
        return sum(os.path.exists(p) and os.path.samefile(p, where / 'big') for p in pathlib.Path(f'/proc/{server}/fd').iterdir())
    before = rss()
    clients = [slow(strata, volume) for _ in range(3)]
    wait_for(lambda: open_files() == 3, what='three archives are read')
    assert rss() - before < 20 * 1024
    for s, _ in clients:
        s.close()
    wait_for(lambda: open_files() == 0, what='nobody reads on')
    with requests.get(f'{strata.url}{volume}/archive', headers={'Authorization': 'Bearer ' + strata.token()}, stream=True, timeout=30) as r:
        head = tarfile.TarInfo.frombuf(r.raw.read(2048, decode_content=True)[1024:1536], 'utf-8', 'surrogateescape')
        assert head.name == 'big'


def test_few_at_once_and_others_are_not_blocked(strata, volume):
    where = directory(strata, volume)
    with open(where / 'big', 'wb') as f:
        f.truncate(1 << 30)
    belong(where)
    clients = [slow(strata, volume) for _ in range(4)]
    try:
        r = archive(strata, volume)
        assert r.status_code == 503 and 'try again' in r.json()['error']['message']
        assert strata.api('GET', f'{volume}/tree').status_code == 200
        assert strata.api('PUT', f'{volume}/files/new', data=b'x').status_code == 201
        strata.user('arc-other', PROJECT, 'guest')
        with archive(strata, volume, user='arc-other', stream=True) as other:
            assert other.status_code == 200
    finally:
        for s, _ in clients:
            s.close()
    wait_for(lambda: archive(strata, volume, stream=True).status_code == 200, what='there is a place again')


def test_a_folder_of_a_hundred_thousand_files(strata, volume):
    where = directory(strata, volume)
    (where / 'many').mkdir()
    for n in range(100_000):
        os.close(os.open(where / 'many' / f'{n:06}', os.O_CREAT | os.O_WRONLY, 0o644))
    belong(where, where / 'many')
    seen = set()
    with archive(strata, volume, stream=True, timeout=300) as r:
        with tarfile.open(fileobj=r.raw, mode='r|') as tar:
            r.raw.decode_content = True
            for m in tar:
                seen.add(m.name)
    assert len(seen) == 100_001 and 'many/099999' in seen


def test_a_race_of_links_never_leads_outside(strata, volume):
    where = directory(strata, volume)
    (where / 'real').mkdir()
    (where / 'real/passwd').write_bytes(b'inside')
    (where / 'bad').symlink_to('/etc')
    belong(where)
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            for name in ('real', 'bad'):
                os.rename(where / name, where / 'x')
                os.rename(where / 'x', where / name)
    racer = threading.Thread(target=swap)
    racer.start()
    try:
        for _ in range(100):
            assert b'root:' not in archive(strata, volume).content
            try:
                assert b'root:' not in archive(strata, volume, 'x').content
            except requests.exceptions.ChunkedEncodingError:
                pass  # x was a folder when it was asked for, and is cut as it is none any more
    finally:
        stop.set()
        racer.join()


def test_a_server_that_is_killed_midway_leaves_a_broken_download(own_strata):
    s = own_strata().start()
    s.volume(PROJECT, 'data')
    volume = f'/api/v1/projects/{PROJECT}/volumes/data'
    where = directory(s, volume)
    with open(where / 'big', 'wb') as f:
        f.truncate(1 << 30)
    belong(where)
    client, got = slow(s, volume)
    s.kill()
    data, ended = b'', True
    try:
        data, ended = rest_of(client, got)
    except (ConnectionError, ValueError):
        ended = False
    assert not ended and len(data) < 1 << 30
    s.start()
    assert s.api('HEAD', f'{volume}/archive').status_code == 200


# --- strata data get ---

def get(strata, cwd, *args, **kwargs):
    env = {'PATH': os.environ['PATH'], 'HOME': str(cwd), 'STRATA_SERVER': strata.url, 'STRATA_TOKEN': strata.token()}
    return subprocess.run([strata.binary, 'data', 'get', *args, '-p', PROJECT], cwd=cwd, env=env, capture_output=True, timeout=120, **kwargs)


@pytest.fixture
def here(scratch):
    path = scratch / ('here' + uuid.uuid4().hex[:8])
    path.mkdir()
    yield path
    subprocess.run(['rm', '-rf', path], check=True)


def masked(found):
    return {k: (v[0], v[1]) for k, v in found.items()}


def test_the_cli_fetches_folders_as_they_are(strata, volume, here):
    where, name = directory(strata, volume), volume.rsplit('/', 1)[1]
    (where / 'in').mkdir()
    belong(where)
    hostile(where / 'in')
    r = get(strata, here, f'{name}/in')
    assert r.returncode == 0, r.stderr
    assert masked(tree(here / 'in')) == masked(tree(where / 'in'))
    assert (here / 'in/size511').stat().st_mtime_ns == (where / 'in/size511').stat().st_mtime_ns
    assert sorted(os.listdir(here)) == ['in'], 'nothing half done is left'
    assert (here / 'in').stat().st_mode & 0o777 == 0o755
    r = get(strata, here, f'{name}/in/')
    assert r.returncode == 73 and b'is there already' in r.stderr
    (here / 'into').mkdir()
    assert get(strata, here, f'{name}/in', 'into').returncode == 0
    assert masked(tree(here / 'into/in')) == masked(tree(where / 'in'))
    assert get(strata, here, name, 'whole').returncode == 0
    assert masked(tree(here / 'whole')) == masked(tree(where))
    r = get(strata, here, f'{name}/in', '-')
    with tarfile.open(fileobj=io.BytesIO(r.stdout), errors='surrogateescape') as tar:
        assert 'size511' in tar.getnames()
    assert get(strata, here, f'{name}/in/size511', 'one').returncode == 0
    assert (here / 'one').read_bytes() == (where / 'in/size511').read_bytes()
    assert get(strata, here, f'{name}/none').returncode == 66


def test_the_cli_says_what_was_left_out(strata, volume, here):
    where, name = directory(strata, volume), volume.rsplit('/', 1)[1]
    os.mkfifo(where / 'pipe')
    (where / 'file').write_bytes(b'x')
    belong(where)
    r = get(strata, here, name)
    assert r.returncode == 0 and b'strata-left-out.txt' in r.stderr
    assert 'pipe: ' in (here / name / 'strata-left-out.txt').read_text()
    r = get(strata, here, f'{name}/pipe')
    assert r.returncode == 73 and b'named pipe' in r.stderr


class Evil(threading.Thread):
    """A server that sends what no server of ours would."""

    def __init__(self, data, cut=False):
        super().__init__(daemon=True)
        self.data, self.cut = data, cut
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self.socket.getsockname()[1]}'
        self.start()

    def run(self):
        while True:
            c, _ = self.socket.accept()
            head = c.recv(65536)
            if b'/archive' in head:
                c.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n' % len(self.data) + self.data + b'\r\n')
                c.sendall(b'' if self.cut else b'0\r\n\r\n')
            else:
                body = b'{"error":{"kind":"conflict","message":"it is a directory","request_id":"1"}}'
                c.sendall(b'HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
            c.close()


def made(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as tar:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = text if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ''
            info.size = len(text) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(text.encode()) if kind == tarfile.REGTYPE else None)
    return out.getvalue()


@pytest.mark.parametrize('members', [
    [('../out', tarfile.REGTYPE, 'x')], [('/tmp/strata-out', tarfile.REGTYPE, 'x')],
    [('l', tarfile.SYMTYPE, '..'), ('l/out', tarfile.REGTYPE, 'x')],
    [('l', tarfile.SYMTYPE, '../out'), ('l', tarfile.REGTYPE, 'x'), ('a/../../out', tarfile.REGTYPE, 'x')]])
def test_the_cli_writes_nowhere_else_whatever_is_sent(strata, here, members):
    evil = Evil(made(*members))
    inside = here / 'inside'
    inside.mkdir()
    r = subprocess.run([strata.binary, 'data', 'get', 'v/d', '-p', 'p', '--server', evil.url, '--token', 'x'], cwd=inside,
                       env={'PATH': os.environ['PATH'], 'HOME': str(here)}, capture_output=True, timeout=60)
    assert r.returncode != 0, r.stderr
    assert not (here / 'out').exists() and not pathlib.Path('/tmp/strata-out').exists() and not (inside / 'out').exists()
    assert os.listdir(inside) == []


@pytest.mark.parametrize('spoiled', [False, True])
def test_the_cli_takes_no_broken_archive_for_a_whole_one(strata, here, spoiled):
    whole = made(('a', tarfile.REGTYPE, 'x' * 5000), ('strata-left-out.txt', tarfile.REGTYPE, 'a: became shorter'))
    evil = Evil(whole if spoiled else whole[:3000], cut=True)
    r = subprocess.run([strata.binary, 'data', 'get', 'v/d', '-p', 'p', '--server', evil.url, '--token', 'x'], cwd=here,
                       env={'PATH': os.environ['PATH'], 'HOME': str(here)}, capture_output=True, timeout=60)
    assert r.returncode != 0 and not (here / 'd').exists()
    left = [n for n in os.listdir(here) if n.startswith('d.part-')]
    assert len(left) == spoiled
    if spoiled:
        assert b'changed while they were read' in r.stderr and (here / left[0] / 'a').read_text() == 'x' * 5000
