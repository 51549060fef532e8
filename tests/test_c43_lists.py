"""Lists that are filtered, sorted and paged on the server; the search over all of it."""
import os
import sqlite3
import uuid

import pytest

V1 = '/api/v1'
SMALL = {'cpu': '100m', 'memory': '64Mi'}


def walk(strata, path, user='admin', **params):
    """All rows, page by page."""
    items, after = [], None
    while True:
        r = strata.api('GET', path, user=user, params={**params, **({'after': after} if after else {})})
        assert r.status_code == 200, r.text
        items += r.json()['items']
        after = r.json()['next']
        if after is None:
            return items


def names(strata, path, key='name', **params):
    return [i[key] for i in walk(strata, path, **params)]


@pytest.fixture(scope='module')
def stage(strata):
    """A project with some of everything."""
    p = 'lists-' + uuid.uuid4().hex[:6]
    strata.project(p)
    for v in ('raw-data', 'raw-images', 'models'):
        strata.volume(p, v)
    for tag in ('v1', 'v1.1', 'Latest'):
        strata.cli('image', 'push', f'{p}/tools/box:{tag}', '--program', '/bin/busybox', check=True)
    strata.cli('image', 'push', f'{p}/trainer:v1', '--program', '/bin/busybox', check=True)
    for role in ('guest', 'developer'):
        strata.user(f'{p}-{role}', p, role)
    for s in ('api-key', 'password'):
        strata.api('PUT', f'{V1}/projects/{p}/secrets/{s}', json={'value': 'x'})
    jobs = [strata.submit(p, {'name': n, 'image': strata.busybox, 'command': ['true'], 'resources': SMALL})['id'] for n in ('train-a', 'train-b', 'eval')]
    for j in jobs:
        strata.wait_job(p, j)
    return {'p': p, 'jobs': jobs}


def test_every_list_is_filtered(strata, stage):
    p, base = stage['p'], f'{V1}/projects/{stage["p"]}'
    assert names(strata, base + '/volumes', q='RAW') == ['raw-data', 'raw-images']
    assert names(strata, base + '/volumes', q='raw dat') == ['raw-data']
    assert names(strata, base + '/repositories', q='box') == ['tools/box']
    assert names(strata, base + '/repositories', q=p) == [], 'the name within the project'
    assert names(strata, base + '/repositories/tools/box/tags', 'tag', q='LATEST') == ['Latest']
    digest = strata.api('GET', base + '/repositories/tools/box/tags').json()['items'][0]['digest']
    assert len(names(strata, base + '/repositories/tools/box/tags', 'tag', q=digest[7:20])) == 3
    assert names(strata, base + '/jobs', q='train') == ['train-b', 'train-a']
    assert names(strata, base + '/jobs', q='busybox eval') == ['eval']
    assert names(strata, base + '/jobs', q='admin', state='failed') == []
    assert names(strata, base + '/jobs', 'id', q=stage['jobs'][0].upper()) == stage['jobs'][:1]
    assert names(strata, base + '/members', 'user', q='guest') == [p + '-guest']
    assert names(strata, base + '/secrets', q='key') == ['api-key']
    assert names(strata, V1 + '/users', q=p) == [p + '-developer', p + '-guest']
    assert names(strata, V1 + '/users', q='admin', kind='admins') == ['admin']
    assert names(strata, V1 + '/users', q=p, kind='disabled') == []
    assert names(strata, V1 + '/projects', q=p) == [p]
    assert names(strata, V1 + '/tokens', user=p + '-guest', q='TES') == ['tests']
    assert {i['path'] for i in walk(strata, V1 + '/audit', q=f'put {p} api-key')} == {f'{base}/secrets/api-key'}


def test_pages_of_a_filtered_list_are_whole(strata, stage):
    base = f'{V1}/projects/{stage["p"]}'
    for path, key, q in ((base + '/volumes', 'name', 'raw'), (base + '/jobs', 'id', 'train'), (base + '/repositories/tools/box/tags', 'tag', 'v1'),
                         (V1 + '/users', 'name', stage['p']), (V1 + '/audit', 'id', 'lists-')):
        assert names(strata, path, key, q=q, limit=1) == names(strata, path, key, q=q)


@pytest.mark.parametrize('q,status', [('x' * 200, 200), ('x' * 201, 400), ('a ' * 8, 200), ('a ' * 9, 400), ('', 200), ('   ', 200), ('\u00c4', 200)])
def test_a_filter_has_limits_on_every_list(strata, stage, q, status):
    base = f'{V1}/projects/{stage["p"]}'
    for path in (V1 + '/users', V1 + '/projects', V1 + '/tokens', V1 + '/audit', base + '/jobs', base + '/volumes', base + '/repositories',
                 base + '/repositories/tools/box/tags', base + '/members', base + '/secrets', base + '/volumes/models/tree'):
        r = strata.api('GET', path, params={'q': q})
        assert r.status_code == status, (path, r.text)
    assert status == 200 or 'the filter (q)' in r.json()['error']['message']


def test_signs_of_patterns_are_characters(strata, stage):
    base = f'{V1}/projects/{stage["p"]}'
    for q in ('%', '_', '*', 'raw%', 'raw_data', "'", '"', '\\'):
        assert names(strata, base + '/volumes', q=q) == []
    assert strata.api('GET', V1 + '/users?kind=odd').status_code == 400
    assert strata.api('GET', V1 + '/users?unknown=1').status_code == 200, 'what is not known is let be, as ever'


def test_projects_are_paged_for_everybody(strata):
    tag = 'pp' + uuid.uuid4().hex[:6]
    for n in ('a', 'a-b', 'a.b', 'c'):
        strata.project(f'{tag}-{n}', public=n != 'c')
    strata.user(tag + '-u', f'{tag}-c', 'guest')
    strata.user(tag + '-u', f'{tag}-a-b', 'developer')
    for user in ('admin', tag + '-u'):
        found = walk(strata, V1 + '/projects', user=user, q=tag, limit=1)
        assert [i['name'] for i in found] == [f'{tag}-a', f'{tag}-a-b', f'{tag}-a.b', f'{tag}-c']
    assert [i['role'] for i in found] == ['anonymous', 'developer', 'anonymous', 'guest']
    assert names(strata, V1 + '/projects', user=None, q=tag) == [f'{tag}-a', f'{tag}-a-b', f'{tag}-a.b']


# --- folders ---

@pytest.fixture(scope='module')
def folder(strata, stage):
    volume = f'{V1}/projects/{stage["p"]}/volumes/models'
    where = strata.state / 'volumes' / strata.api('GET', volume).json()['id'] / 'd'
    where.mkdir()
    for i, (name, size) in enumerate((('b.txt', 10), ('A.txt', 10), ('\u00c4RGER.txt', 5), ('c%_*', 1))):
        (where / name).write_bytes(bytes(size))
        os.utime(where / name, (1000 - i, 1000 - i))
    with open(os.fsencode(where) + b'/\xffraw', 'wb') as f:
        f.write(bytes(20))
    os.utime(os.fsencode(where) + b'/\xffraw', (2000, 2000))
    (where / 'sub').mkdir()
    os.utime(where / 'sub', (500, 500))
    return volume + '/tree/d'


def test_a_folder_is_sorted_and_filtered(strata, folder):
    def shown(**params):
        rows = names(strata, folder, **params)
        assert names(strata, folder, limit=1, **params) == rows, 'the cursor survives any name, size and time'
        return [r.replace('\ufffd', '?') for r in rows]
    assert shown() == ['A.txt', 'b.txt', 'c%_*', 'sub', '\u00c4RGER.txt', '?raw']
    assert shown(desc=1) == shown()[::-1]
    assert shown(sort='size') == ['sub', 'c%_*', '\u00c4RGER.txt', 'A.txt', 'b.txt', '?raw']
    assert shown(sort='size', desc='1') == shown(sort='size')[::-1]
    assert shown(sort='time', desc='1') == ['?raw', 'b.txt', 'A.txt', '\u00c4RGER.txt', 'c%_*', 'sub']
    assert shown(q='TXT') == ['A.txt', 'b.txt', '\u00c4RGER.txt']
    assert shown(q='\u00e4rger') == ['\u00c4RGER.txt']
    assert shown(q='%_', sort='time') == ['c%_*']
    assert shown(q='a t', sort='size') == ['A.txt']
    assert shown(q='nothing') == []
    for bad in ('sort=colour', 'after=!', 'sort=size&after=YQ'):
        assert strata.api('GET', f'{folder}?{bad}').status_code == 400, bad


def test_a_folder_of_a_hundred_thousand_entries(strata, stage):
    strata.volume(stage['p'], 'many')
    volume = f'{V1}/projects/{stage["p"]}/volumes/many'
    where = strata.state / 'volumes' / strata.api('GET', volume).json()['id']
    for n in range(100_000):
        os.close(os.open(where / f'f{n:06}', os.O_CREAT | os.O_WRONLY))
    for n in range(3):
        (where / f'Big-{n}').write_bytes(bytes(n + 1))
    assert names(strata, volume + '/tree', q='big') == ['Big-0', 'Big-1', 'Big-2']
    page = strata.api('GET', volume + '/tree?sort=size&desc=1&limit=4').json()
    assert [i['name'] for i in page['items']] == ['Big-2', 'Big-1', 'Big-0', 'f099999']
    page = strata.api('GET', volume + '/tree', params={'sort': 'size', 'desc': '1', 'limit': 2, 'after': page['next']}).json()
    assert [i['name'] for i in page['items']] == ['f099998', 'f099997']
    assert len(names(strata, volume + '/tree', limit=1000, q='f0999')) == 100


# --- the search over everything ---

def found(strata, q, user='admin', **kwargs):
    r = strata.api('GET', V1 + '/search', user=user, params={'q': q}, **kwargs)
    assert r.status_code == 200, r.text
    return r.json()


def test_the_search_finds_everything_one_may_see(strata, stage):
    p = stage['p']
    for user in ('admin', p + '-guest'):
        assert [i['name'] for i in found(strata, p, user)['projects']] == [p]
        assert {'project': p, 'name': 'raw-data'} in found(strata, 'raw-data', user)['volumes']
        assert {'project': p, 'name': 'tools/box'} in found(strata, f'{p} box', user)['repositories']
        jobs = found(strata, stage['jobs'][2], user)['jobs']
        assert jobs == [{'project': p, 'id': stage['jobs'][2], 'name': 'eval', 'state': 'succeeded'}]
    best = found(strata, 'mode')['volumes']
    assert len(best) <= 8 and best == sorted(best, key=lambda v: len(v['name'])), 'the shortest first'


def test_the_search_shows_nothing_else(strata, stage):
    p = stage['p']
    strata.user('lists-stranger')
    nothing = {'projects': [], 'volumes': [], 'repositories': [], 'jobs': []}
    for q in (p, 'raw-data', 'box', stage['jobs'][0], 'e'):
        for kind, rows in found(strata, q, 'lists-stranger').items():
            assert not [r for r in rows if r.get('project') == p or r['name'] == p], kind
    narrow = strata.api('POST', V1 + '/tokens', json={'name': 'n', 'scopes': ['job:read']}).json()['token']
    assert found(strata, 'raw-data', token=narrow) == nothing
    assert found(strata, stage['jobs'][0], token=narrow)['jobs']
    assert strata.api('GET', V1 + '/search?q=x', user=None).status_code == 401
    assert strata.api('GET', V1 + '/search?q=').status_code == 400
    assert strata.api('GET', V1 + '/search?q=' + 'x' * 201).status_code == 400


# --- the command line ---

def test_the_cli_filters(strata, stage):
    p = stage['p']

    def lines(*args):
        return strata.cli(*args, check=True).stdout
    assert 'train-a' in lines('job', 'list', '-p', p, '--filter', 'TRAIN') and 'eval' not in lines('job', 'list', '-p', p, '--filter', 'train')
    assert lines('volume', 'list', '-p', p, '--filter', 'raw').count('raw-') == 2
    assert 'models' not in lines('volume', 'list', '-p', p, '--filter', 'raw')
    assert lines('volume', 'list', '-p', p, '--filter', 'no-such') == 'Nothing fits the filter.\n'
    assert 'tools/box' not in lines('image', 'list', '-p', p, '--filter', 'trainer')
    assert 'password' not in lines('secret', 'list', '-p', p, '--filter', 'key')
    assert f'{p}-guest' in lines('user', 'list', '--filter', f'{p} guest')
    assert f'{p}-guest' in lines('project', 'members', '-p', p, '--filter', 'guest')
    assert p in lines('project', 'list', '--filter', p)
    assert 'tests' in lines('token', 'list', '--filter', 'tests')
    assert f'{p}/secrets/api-key' in lines('audit', '--filter', f'{p} api-key')
    assert lines('data', 'list', 'models/d', '-p', p, '--filter', '\u00e4rger').count('.txt') == 1
    assert strata.cli('job', 'list', '-p', p, '--filter', 'x' * 201).returncode == 65


# --- long tables ---

ROWS = 100_000


@pytest.fixture(scope='module')
def long(strata, scratch):
    """A server with 100,000 rows in each table, written behind its back."""
    s = type(strata)(scratch / 'long' / 'state').start()
    s.project('long')
    s.stop()
    with sqlite3.connect(s.state / 'state.db') as db:
        pid = db.execute("SELECT id FROM projects WHERE name = 'long'").fetchone()[0]
        db.executemany('INSERT INTO users(name, created_ms) VALUES(?, 1)', ((f'user-{n:06}',) for n in range(ROWS)))
        db.executemany("INSERT INTO projects(name, public, created_ms, created_by, slot) VALUES(?, ?, 1, 'x', ?)",
                       ((f'proj-{n:06}', n % 2, 1000 + n) for n in range(60_000)))
        db.executemany("INSERT INTO jobs(id, project_id, project, name, user, image, digest, state, reason, attempt, retries, cpu_milli, memory_bytes,"
                       " gpus, timeout_ms, grace_ms, volume_ids, created_ms, finished_ms, spec, pin)"
                       " VALUES(?, ?, 'long', ?, 'admin', 'long/x:1', 'sha256:0', 'succeeded', '', 1, 0, 1, 1, 0, 0, 0, '', 1, 2, ?, '{}')",
                       ((f'j-{n:08}', pid, f'job-{n}', '{"x":"' + 'y' * 2000 + '"}') for n in range(ROWS)))
        db.executemany("INSERT INTO volumes(id, project_id, name, state, id_base, created_ms) VALUES(?, ?, ?, 1, 1, 1)",
                       ((f'v-{n:010}', pid, f'vol-{n:06}') for n in range(ROWS)))
        db.executemany("INSERT INTO audit(at_ms, user, method, path, project, status, peer, request_id) VALUES(1, 'x', 'PUT', ?, 'long', 200, 'p', 'r')",
                       ((f'/api/{n}',) for n in range(ROWS)))
    db.close()
    s.start()
    yield s
    s.stop()
    s.check_log()


def test_lists_of_a_hundred_thousand_rows(long):
    base = V1 + '/projects/long'
    assert len(names(long, V1 + '/users', limit=1000)) == ROWS + 1
    assert names(long, V1 + '/users', q='USER-099') == [f'user-099{n:03}' for n in range(1000)]
    assert names(long, V1 + '/projects', q='059999') == ['proj-059999']
    long.user('long-guest', 'long', 'guest')
    assert len(names(long, V1 + '/projects', user='long-guest', limit=1000)) == 30_002, "the public ones, library, and his own"
    assert names(long, base + '/jobs', q='job-7777') == [f'job-7777{n}' for n in range(9, -1, -1)] + ['job-7777']
    assert names(long, base + '/jobs', q='job-7777', state='failed') == []
    assert len(names(long, base + '/jobs', 'id', limit=1000)) == ROWS
    assert len(names(long, V1 + '/audit', 'id', q='put /api/9999', limit=3)) == 11
    assert found(long, 'job-99999')['jobs'][0]['name'] == 'job-99999'
    assert found(long, 'proj-000001', 'long-guest')['projects'][0]['name'] == 'proj-000001'
