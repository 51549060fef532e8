"""What a job used over time: sampled while it runs, kept after its end, whatever happens to server and helper."""
import datetime
import contextlib
import json
import os
import re
import signal

import pytest
import requests

from conftest import wait_for

JOBS = '/api/v1/projects/demo/jobs'
FIGURES = ('cpu_usec', 'memory_bytes', 'memory_peak_bytes', 'io_read_bytes', 'io_write_bytes', 'processes')
TOTALS = ('cpu_usec', 'memory_peak_bytes', 'io_read_bytes', 'io_write_bytes')
BURN = 'end=$(($(date +%s) + {0})); while [ $(date +%s) -lt $end ]; do for i in $(seq 2000); do :; done; done'


def usage(s, job_id, status=200, **params):
    r = s.api('GET', f'{JOBS}/{job_id}/usage', params=params)
    assert r.status_code == status, r.text
    return r.json()


def shell(s, text, **more):
    return {'name': 'u', 'image': s.busybox, 'command': ['sh', '-c', text],
            'resources': {'cpu': '500m', 'memory': '128Mi'}, **more}


def ms(when):
    return datetime.datetime.fromisoformat(when.replace('Z', '+00:00')).timestamp() * 1000


def check_series(u):
    """Times rise by the interval, totals never fall, and every figure is a number or null."""
    samples = u['samples']
    assert all(set(x) == {'at', *FIGURES} for x in samples)
    for before, after in zip(samples, samples[1:]):
        assert ms(before['at']) < ms(after['at'])
        for key in TOTALS:
            assert (before[key] is None) == (after[key] is None)
            assert before[key] is None or before[key] <= after[key], (key, before, after)


def gaps(u):
    """Milliseconds between neighbours, without the one before the last sample, which comes at the end."""
    at = [ms(u['started_at'])] + [ms(x['at']) for x in u['samples']]
    return [b - a for a, b in zip(at, at[1:])][:-1]


@pytest.fixture(scope='module')
def burned(strata):
    """A job that works for three seconds and holds 40 MiB."""
    text = BURN.format(3).replace('end=', '(head -c 40m /dev/zero; sleep 60) | tail -c 40m >/dev/null & end=', 1)
    job = strata.submit('demo', shell(strata, text))
    strata.wait_job('demo', job['id'], ('running',))
    live = wait_for(lambda: usage(strata, job['id'])['samples'], 20, 'samples while it runs')
    assert strata.job('demo', job['id'])['state'] == 'running' or len(live) >= 3
    return strata.wait_job('demo', job['id'])


def test_a_job_that_works_shows_it(strata, burned):
    u = usage(strata, burned['id'])
    assert burned['state'] == 'succeeded', burned['reason']
    assert (u['attempt'], u['interval_ms'], u['cpu_milli_limit'], u['memory_limit_bytes']) == (1, 1000, 500, 128 << 20)
    assert u['started_at'] == burned['started_at'] and len(u['samples']) >= 3
    check_series(u)
    cpu = [x['cpu_usec'] for x in u['samples']]
    assert 0 < cpu[0] < cpu[1] < cpu[2] and cpu[-1] > 500_000
    assert any(x['memory_bytes'] > 35 << 20 for x in u['samples'][:-1])
    assert max(x['processes'] for x in u['samples']) >= 1
    last = u['samples'][-1]
    assert (last['cpu_usec'], last['memory_peak_bytes']) == (burned['usage']['cpu_usec'], burned['usage']['memory_peak_bytes'])


def test_the_file_is_root_s_and_the_group_s(strata, burned):
    st = os.stat(strata.state / 'jobs' / (burned['id'] + '-1') / 'usage')
    assert st.st_mode & 0o7777 == 0o640 and st.st_uid == 0
    assert st.st_gid == os.stat(strata.state / 'jobs').st_gid


def test_a_job_shorter_than_a_second_has_its_last_sample(strata):
    job = strata.run_job('demo', ['true'], name='short')
    u = usage(strata, job['id'])
    assert len(u['samples']) == 1
    assert u['samples'][0]['cpu_usec'] == job['usage']['cpu_usec'] > 0
    assert u['samples'][0]['processes'] in (0, None)


def test_bytes_read_and_written_are_counted(strata):
    text = 'dd if=/dev/zero of=/tmp/x bs=1M count=8 oflag=direct 2>/dev/null && dd if=/tmp/x of=/dev/null bs=1M iflag=direct 2>/dev/null'
    job = strata.run_job('demo', ['sh', '-c', text], name='io')
    if job['state'] != 'succeeded':
        pytest.skip('the file system of this machine has no direct I/O')
    last = usage(strata, job['id'])['samples'][-1]
    for key in ('io_read_bytes', 'io_write_bytes'):
        assert last[key] is None or last[key] >= 8 << 20, last


def test_before_the_start_there_are_no_samples(strata):
    node = strata.api('GET', '/api/v1/nodes').json()['items'][0]
    blocker = strata.submit('demo', shell(strata, 'sleep 600', resources={'cpu': node['cpu_milli'] / 1000, 'memory': '64Mi'}))
    waiting = strata.submit('demo', shell(strata, 'true'))
    u = usage(strata, waiting['id'])
    assert u == {'attempt': 1, 'started_at': None, 'interval_ms': 1000, 'cpu_milli_limit': 500,
                 'memory_limit_bytes': 128 << 20, 'samples': []}
    text = strata.cli('job', 'usage', waiting['id'], '-p', 'demo', check=True).stdout
    assert text.startswith('Nothing yet')
    for job in (waiting, blocker):
        strata.api('POST', f'{JOBS}/{job["id"]}/cancel')
        strata.wait_job('demo', job['id'])
    assert usage(strata, waiting['id'])['samples'] == [], 'it was cancelled and never ran'


def test_every_attempt_has_its_own(strata):
    job = strata.run_job('demo', ['sh', '-c', f'[ $STRATA_ATTEMPT = 3 ] && exit 0; {BURN.format(1)}; exit 1'], name='again', retries=5)
    assert job['state'] == 'succeeded' and job['attempt'] == 3
    each = [usage(strata, job['id'], attempt=n) for n in (1, 2, 3)]
    assert [u['attempt'] for u in each] == [1, 2, 3]
    assert usage(strata, job['id']) == each[2]
    for before, after in zip(each, each[1:]):
        assert ms(before['samples'][-1]['at']) <= ms(after['started_at'])
    assert each[2]['samples'][-1]['cpu_usec'] < each[0]['samples'][-1]['cpu_usec']
    for n in (0, 4, -1):
        e = usage(strata, job['id'], 404, attempt=n)['error']
        assert e['message'] == f'job {job["id"]} has no attempt {n}: its attempts are 1 to 3'
    assert 'is not a number' in usage(strata, job['id'], 400, attempt='last')['error']['message']


def test_the_samples_go_with_the_job(strata):
    job = strata.run_job('demo', ['true'], name='gone')
    assert strata.api('DELETE', f'{JOBS}/{job["id"]}').status_code == 204
    usage(strata, job['id'], 404)
    wait_for(lambda: not list(strata.state.glob(f'jobs/{job["id"]}-*')), 20, 'nothing is left of it')


def test_guests_may_read_and_strangers_may_not_know(strata, burned):
    strata.user('gerda', 'demo', 'guest')
    strata.user('stranger', 'elsewhere', 'developer')
    path = f'{JOBS}/{burned["id"]}/usage'
    assert strata.api('GET', path, user='gerda').status_code == 200
    assert strata.api('GET', path, user='stranger').status_code == 404
    assert strata.api('GET', path.replace('demo', 'elsewhere'), user='stranger').status_code == 404
    assert strata.api('GET', path, user=None).status_code in (401, 404)
    assert strata.api('GET', f'{JOBS}/j-none/usage').status_code == 404


def test_a_file_that_is_damaged_is_told_and_harms_nobody(strata):
    job = strata.run_job('demo', ['true'], name='damaged')
    path = strata.state / 'jobs' / (job['id'] + '-1') / 'usage'
    whole = path.read_bytes()
    for bad in (b'\0' * 4096, whole + b'what\n', whole.replace(b'usage 1', b'usage 9'), b'x' * (1 << 20)):
        path.write_bytes(bad)
        request = usage(strata, job['id'], 500)['error']['request_id']
        assert re.search(f'samples of container {job["id"]}-1: .*{request}|{request}.*samples of container {job["id"]}-1: ', strata.log())
    path.write_bytes(b'')
    assert usage(strata, job['id'])['samples'] == [], 'a power loss may leave an empty one'
    path.write_bytes(whole + b'12345')
    assert len(usage(strata, job['id'])['samples']) == 1, 'a line that is being written is left out'


def test_who_looks_while_a_job_starts_is_not_refused(strata):
    """Its directory and its files are born readable for the server."""
    with requests.Session() as session:
        session.headers['Authorization'] = 'Bearer ' + strata.token()
        for _ in range(25):
            job = strata.submit('demo', shell(strata, 'true'))
            while strata.job('demo', job['id'])['state'] != 'succeeded':
                for path in ('log', 'usage') * 10:
                    r = session.get(f'{strata.url}{JOBS}/{job["id"]}/{path}')
                    assert r.status_code == 200, (path, r.text)


def test_the_command_line_shows_it(strata, burned):
    text = strata.cli('job', 'usage', burned['id'], '-p', 'demo', check=True).stdout
    lines = text.splitlines()
    assert lines[0].startswith('attempt 1, ') and [l.split()[0] for l in lines[2:7]] == ['CPU', 'memory', 'read/s', 'written/s', 'processes']
    assert '0.50' in lines[2] and '128.0 MiB' in lines[3] and '█' in lines[3]
    assert json.loads(strata.cli('job', 'usage', burned['id'], '-p', 'demo', '--json', check=True).stdout) == usage(strata, burned['id'])
    r = strata.cli('job', 'usage', burned['id'], '-p', 'demo', '--attempt', '7')
    assert r.returncode == 66 and 'has no attempt 7' in r.stderr


# --- restarts ---

def test_kill_9_of_everything_leaves_no_gap(own_strata):
    s = own_strata().start()
    job = s.submit('demo', shell(s, f'while [ ! -e /tmp/never ]; do {BURN.format(1)}; done'))
    s.wait_job('demo', job['id'], ('running',))
    before = wait_for(lambda: (u := usage(s, job['id'])['samples']) and len(u) >= 2 and u, 30, 'samples before')
    s.kill()
    path = s.state / 'jobs' / (job['id'] + '-1') / 'usage'
    lines = lambda: path.read_text().count('\n')
    down = lines()
    wait_for(lambda: lines() >= down + 2, 30, 'samples while everything is down')
    s.start()
    after = usage(s, job['id'])['samples']
    assert after[:len(before)] == before and len(after) >= len(before) + 2
    pids = s.pids()
    for role in ('server', 'helper'):
        with contextlib.suppress(ProcessLookupError):  # the one may have ended because the other did
            os.kill(pids[role], signal.SIGKILL)
    s.wait_ready()
    wait_for(lambda: len(usage(s, job['id'])['samples']) >= len(after) + 2, 30, 'samples after')
    s.api('POST', f'{JOBS}/{job["id"]}/cancel')
    s.wait_job('demo', job['id'])
    u = usage(s, job['id'])
    check_series(u)
    assert u['samples'][:len(after)] == after
    assert all(900 < g < 1900 for g in gaps(u)), gaps(u)


def test_a_shim_that_is_killed_leaves_its_samples(own_strata):
    s = own_strata().start()
    job = s.submit('demo', shell(s, 'sleep 600'))
    s.wait_job('demo', job['id'], ('running',))
    before = wait_for(lambda: usage(s, job['id'])['samples'], 30, 'a sample')
    record = (s.state / 'jobs' / (job['id'] + '-1') / 'shim').read_text()
    os.kill(int(dict(l.split(' ', 1) for l in record.splitlines())['pid']), signal.SIGKILL)
    assert s.wait_job('demo', job['id'])['state'] == 'lost'
    assert usage(s, job['id'])['samples'][:len(before)] == before
