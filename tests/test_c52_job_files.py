"""Files that a job wrote: in its writable volumes, of one attempt, newest first."""
import os
import time
import urllib.parse
import uuid

import pytest

from conftest import wait_for

PROJECT = 'jobfiles'
SMALL = {'cpu': '500m', 'memory': '128Mi'}


@pytest.fixture
def name(strata):
    """A fresh volume."""
    name = 'v' + uuid.uuid4().hex[:10]
    strata.volume(PROJECT, name)
    return name


def run(strata, script, *volumes, wait=True, **more):
    job = strata.submit(PROJECT, {'image': strata.busybox, 'command': ['sh', '-c', script], 'resources': SMALL, 'name': 'writer',
                                  'volumes': [{'name': v, 'path': f'/v{i}', 'mode': m} for i, (v, m) in enumerate(volumes)], **more})
    return strata.wait_job(PROJECT, job['id']) if wait else job


def files(strata, job, status=200, user='admin', token=None, **params):
    r = strata.api('GET', f'/api/v1/projects/{PROJECT}/jobs/{job["id"]}/files', user=user, token=token, params=params)
    assert r.status_code == status, r.text
    return r.json()


def paths(found):
    return [f['path'] for f in found['items']]


def where(strata, name):
    return strata.state / 'volumes' / strata.api('GET', f'/api/v1/projects/{PROJECT}/volumes/{name}').json()['id']


def put(strata, name, path, data=b'x'):
    assert strata.api('PUT', f'/api/v1/projects/{PROJECT}/volumes/{name}/files/{path}', data=data).status_code == 201


def make_old(strata, name):
    """What is there already was changed long before (its ctime too: that needs the clock to go on)."""
    time.sleep(2.1)  # past what a start may be told too late


def test_what_a_job_wrote_is_listed_newest_first(strata, name):
    put(strata, name, 'before')
    put(strata, name, 'changed')
    make_old(strata, name)
    job = run(strata, 'cd /v0; echo 12345 > first; usleep 30000; mkdir -p a/b/c; echo x > a/b/c/deep; usleep 30000; echo y >> changed', (name, 'rw'))
    assert job['state'] == 'succeeded'
    found = files(strata, job)
    assert paths(found) == ['changed', 'a/b/c/deep', 'first'] and found['found'] == 3 and found['complete']
    assert found['volumes'] == [{'name': name, 'path': '/v0', 'gone': False}]
    assert found['items'][2] == {**found['items'][2], 'volume': name, 'type': 'file', 'size_bytes': 6}
    assert found['since'] <= found['items'][2]['changed_at'] <= found['until'] and found['attempt'] == 1
    assert paths(files(strata, job, limit=1)) == ['changed'] and files(strata, job, limit=1)['found'] == 3
    put(strata, name, 'after')
    assert paths(files(strata, job)) == paths(found), 'what came later is not its'


def test_times_that_a_job_sets_hide_nothing(strata, name):
    """cp -p and tar keep old times; the change itself is seen by the file system."""
    job = run(strata, 'cd /v0; echo x > old; touch -d "2001-01-01 00:00:00" old; echo y > new; touch -d "2099-01-01 00:00:00" new', (name, 'rw'))
    found = files(strata, job)
    assert sorted(paths(found)) == ['new', 'old']
    assert all(found['since'] <= f['changed_at'] <= found['until'] for f in found['items'])


def test_names_of_any_bytes_and_links(strata, name):
    job = run(strata, r'''cd /v0; echo x > "$(printf 'a\nb')"; echo x > "$(printf '\377\376')"; echo x > ./-rf; ln -s /etc/passwd link;
                          ln -s . loop; mkfifo pipe; mkdir "$(printf '\377dir')"; echo x > "$(printf '\377dir/f')"''', (name, 'rw'))
    assert job['state'] == 'succeeded', job
    rows = files(strata, job)['items']
    found = {urllib.parse.unquote_to_bytes(f['path_raw']) if 'path_raw' in f else f['path'].encode(): f['type'] for f in rows}
    assert found == {b'a\nb': 'file', b'\xff\xfe': 'file', b'-rf': 'file', b'link': 'link', b'loop': 'link', b'\xffdir/f': 'file'}
    volume = f'/api/v1/projects/{PROJECT}/volumes/{name}/files/'
    for f in rows:
        if f['type'] == 'file':
            raw = f.get('path_raw') or urllib.parse.quote(f['path'])
            assert strata.api('GET', volume + raw).content == b'x\n'


def test_only_writable_volumes_and_each_once(strata, name):
    other = 'o' + name
    strata.volume(PROJECT, other)
    job = run(strata, 'echo x > /v1/f; echo x > /v2/g', (other, 'ro'), (name, 'rw'), (name, 'rw'))
    found = files(strata, job)
    assert sorted(paths(found)) == ['f', 'g'] and found['found'] == 2
    assert [v['path'] for v in found['volumes']] == ['/v1', '/v2']
    nothing = files(strata, run(strata, 'true'))
    assert nothing['items'] == [] and nothing['volumes'] == [] and nothing['complete']


def test_every_attempt_has_its_own(strata, name):
    job = run(strata, 'if [ -e /v0/one ]; then sleep 3; echo x > /v0/two; else echo x > /v0/one; exit 1; fi', (name, 'rw'), retries=1)
    assert job['state'] == 'succeeded' and job['attempt'] == 2
    assert 'two' in paths(files(strata, job)) and files(strata, job)['attempt'] == 2
    assert paths(files(strata, job, attempt=1)) == ['one']
    files(strata, job, status=404, attempt=3)
    files(strata, job, status=404, attempt=0)
    files(strata, job, status=400, attempt='x')
    files(strata, job, status=400, limit=0)


def test_also_while_it_runs_and_before(strata, name):
    job = run(strata, 'echo x > /v0/now; sleep 600', (name, 'rw'), wait=False, grace='0s')
    strata.wait_job(PROJECT, job['id'], ('running',))
    wait_for(lambda: paths(files(strata, job)) == ['now'], what='the file of a running job')
    assert files(strata, job)['until'] is None and files(strata, job)['since']
    strata.api('POST', f'/api/v1/projects/{PROJECT}/jobs/{job["id"]}/cancel')
    strata.wait_job(PROJECT, job['id'])
    assert files(strata, job)['until']


def test_permission_is_that_of_the_job_and_of_the_volume(strata, name):
    job = run(strata, 'echo x > /v0/f', (name, 'rw'))
    strata.user('jf-guest', PROJECT, 'guest')
    strata.user('jf-none')
    assert paths(files(strata, job, user='jf-guest')) == ['f']
    files(strata, job, status=404, user='jf-none')
    for scopes, status in ((['job:read'], 403), (['volume:read'], 403), (['job:read', 'volume:read'], 200)):
        token = strata.api('POST', '/api/v1/tokens', json={'name': 'n', 'scopes': scopes}).json()['token']
        files(strata, job, status=status, token=token)
    strata.project('jf-other')
    assert strata.api('GET', f'/api/v1/projects/jf-other/jobs/{job["id"]}/files').status_code == 404


def test_a_volume_made_anew_is_another_one(strata, name):
    job = run(strata, 'echo x > /v0/f', (name, 'rw'))
    volume = f'/api/v1/projects/{PROJECT}/volumes/{name}'
    assert strata.api('DELETE', volume).status_code == 204
    found = files(strata, job)
    assert found['items'] == [] and found['volumes'][0]['gone'] is True
    wait_for(lambda: strata.api('POST', f'/api/v1/projects/{PROJECT}/volumes', json={'name': name}).status_code == 201, what='the name is free')
    put(strata, name, 'secret-of-others')
    found = files(strata, job)
    assert found['items'] == [] and found['volumes'][0]['gone'] is True


def test_deep_folders_and_a_hundred_thousand_files(strata, name):
    top = where(strata, name)
    for n in range(100_000):  # before it: looked at, and not listed
        os.close(os.open(top / f'{n:06}', os.O_CREAT | os.O_WRONLY, 0o644))
    make_old(strata, name)
    script = ('cd /v0; i=0; while [ $i -lt 300 ]; do mkdir d && cd d || exit 1; i=$((i+1)); done; echo x > end; '
              'cd /v0; mkdir many; i=0; while [ $i -lt 2500 ]; do : > many/$i; i=$((i+1)); done')
    job = run(strata, script, (name, 'rw'))
    assert job['state'] == 'succeeded', job
    found = files(strata, job, limit=1000)
    assert found['found'] == 2501 and found['complete'] and len(found['items']) == 1000
    times = [f['changed_at'] for f in found['items']]
    assert times == sorted(times, reverse=True) and all(p.startswith('many/') for p in paths(found))
    assert strata.api('GET', f'/api/v1/projects/{PROJECT}/volumes/{name}/tree?limit=1').status_code == 200


def test_the_cli_shows_them(strata, name):
    job = run(strata, 'mkdir /v0/out; echo 1 > /v0/out/a; usleep 20000; echo 2 > /v0/out/b', (name, 'rw'))
    r = strata.cli('job', 'files', job['id'], '-p', PROJECT, check=True)
    lines = r.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ['FILE', f'{name}/out/b', f'{name}/out/a'] and r.stderr == ''
    r = strata.cli('job', 'files', job['id'], '-p', PROJECT, '--limit', '1', check=True)
    assert '1 of 2 files are shown.' in r.stderr
    assert 'may write to no volume' in strata.cli('job', 'files', run(strata, 'true')['id'], '-p', PROJECT, check=True).stdout
    assert strata.cli('job', 'files', 'j-none', '-p', PROJECT).returncode == 66
