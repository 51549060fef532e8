"""Jobs: what is submitted is checked at once, queued in order, run in a container, explained and kept."""
import contextlib
import datetime
import gzip
import hashlib
import json
import os
import pathlib
import re
import subprocess
import time
import uuid

import pytest
import requests

from conftest import wait_for

JOBS = '/api/v1/projects/demo/jobs'
SMALL = {'cpu': '100m', 'memory': '64Mi'}


def spec(strata, command, **more):
    return {'name': 't', 'image': strata.busybox, 'command': command, 'resources': SMALL, **more}


def shell(strata, text, **more):
    return spec(strata, ['sh', '-c', text], **more)


def refused(strata, body, status=400, **kwargs):
    """The error of a submit that must not be accepted."""
    data = body if isinstance(body, (str, bytes)) else json.dumps(body)
    r = strata.api('POST', JOBS, data=data, **kwargs)
    assert r.status_code == status, f'{r.status_code} {r.text}'
    return r.json()['error']


def states(job):
    return [h['state'] for h in job['history']]


def cancel(strata, job_id, status=202):
    r = strata.api('POST', f'{JOBS}/{job_id}/cancel')
    assert r.status_code == status, r.text
    return r.json()


def log_of(strata, job_id, **params):
    r = strata.api('GET', f'{JOBS}/{job_id}/log', params=params)
    assert r.status_code == 200, r.text
    return r.text


def put_blob(strata, repo, data):
    digest = 'sha256:' + hashlib.sha256(data).hexdigest()
    r = strata.api('POST', f'/v2/{repo}/blobs/uploads/', params={'digest': digest}, data=data,
                   headers={'Content-Type': 'application/octet-stream'})
    assert r.status_code == 201, r.text
    return {'digest': digest, 'size': len(data)}


def push_image(strata, repo, tag, layer, architecture='amd64', os_name='linux', **config):
    """An image of one gzip layer, by hand: every field is ours to get wrong."""
    strata.project(repo.split('/')[0])
    packed = gzip.compress(layer, mtime=0)
    settings = {'architecture': architecture, 'os': os_name, 'config': config,
                'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + hashlib.sha256(layer).hexdigest()]}}
    manifest = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                'config': {'mediaType': 'application/vnd.oci.image.config.v1+json',
                           **put_blob(strata, repo, json.dumps(settings).encode())},
                'layers': [{'mediaType': 'application/vnd.oci.image.layer.v1.tar+gzip',
                            **put_blob(strata, repo, packed)}]}
    r = strata.api('PUT', f'/v2/{repo}/manifests/{tag}', data=json.dumps(manifest),
                   headers={'Content-Type': manifest['mediaType']})
    assert r.status_code == 201, r.text
    return f'{repo}:{tag}'


# --- the life of a job ---

def test_a_job_goes_through_its_states_and_keeps_everything(strata):
    job = strata.run_job('demo', ['sh', '-c', 'echo out; echo err >&2; exit 0'], name='hello')
    assert job['state'] == 'succeeded'
    assert states(job) == ['queued', 'starting', 'running', 'succeeded']
    assert job['exit'] == {'kind': 'exit', 'code': 0, 'text': 'exit code 0'}
    assert re.fullmatch(r'j-[a-z0-9]{8}', job['id'])
    assert job['user'] == 'admin' and job['project'] == 'demo' and job['name'] == 'hello'
    assert job['digest'].startswith('sha256:') and job['attempt'] == 1
    assert job['created_at'] <= job['started_at'] <= job['finished_at']
    assert sorted(strata.job_log('demo', job['id']).split()) == ['err', 'out']
    assert job['log_bytes'] == 8
    assert job['spec']['command'] == ['sh', '-c', 'echo out; echo err >&2; exit 0']
    assert job['usage']['cpu_usec'] > 0 and job['usage']['memory_peak_bytes'] > 0


def test_a_name_with_an_underscore_runs_and_names_the_host(strata):
    job = strata.run_job('demo', ['hostname'], name='my_trainer')
    assert job['state'] == 'succeeded', job['reason']
    assert strata.job_log('demo', job['id']) == 'my-trainer\n'


@pytest.mark.parametrize('code', [1, 3, 126, 127, 137, 255])
def test_exit_codes_are_kept_as_they_are(strata, code):
    job = strata.run_job('demo', ['sh', '-c', f'exit {code}'], name='code')
    assert job['state'] == 'failed'
    assert (job['exit']['kind'], job['exit']['code']) == ('exit', code)


def test_a_signal_is_told_by_its_name(strata):
    job = strata.run_job('demo', ['sh', '-c', 'sh -c "kill -SEGV \\$\\$"; exit $?'], name='segv')
    assert (job['exit']['kind'], job['exit']['code']) == ('exit', 139)


def test_out_of_memory_is_told_with_the_limit(strata):
    job = strata.run_job('demo', ['sh', '-c', 'exec tail /dev/zero'], name='oom')
    assert job['state'] == 'failed'
    assert job['exit'] == {'kind': 'oom', 'code': 137,
                           'text': 'killed: out of memory: used 64.0 MiB of 64.0 MiB; try resources.memory: 96Mi'}


def test_a_command_that_is_not_in_the_image_is_127(strata):
    job = strata.run_job('demo', ['no-such-program'], name='nope')
    assert job['state'] == 'failed' and job['exit']['code'] == 127
    assert 'no-such-program' in job['exit']['text'] and 'not found' in job['exit']['text']
    assert states(job) == ['queued', 'starting', 'failed']


def test_a_file_that_is_no_program_is_126(strata):
    job = strata.run_job('demo', ['/etc/passwd'], name='nope')
    assert job['state'] == 'failed' and job['exit']['code'] == 126


def test_environment_working_directory_and_arguments_arrive(strata):
    job = strata.run_job('demo', ['sh', '-c', 'pwd; echo "$A|$EMPTY|$STRATA_ATTEMPT|$0|$1"'], name='env',
                         args=['x', 'ü 😀'], env={'A': 'a"b\'c\n$d', 'EMPTY': ''}, workdir='/tmp')
    assert strata.job_log('demo', job['id']) == '/tmp\na"b\'c\n$d||1|x|ü 😀\n'


def test_the_image_brings_command_and_environment_unless_the_job_says_otherwise(strata):
    layer = (strata.state.parent / (strata.state.name + '-busybox.tar'))
    assert strata.busybox
    image = push_image(strata, 'demo/own-command', 'x', layer.read_bytes(), Entrypoint=['/bin/echo', 'entry'],
                       Cmd=['cmd'], Env=['FROM=image'], WorkingDir='/etc')
    base = {'name': 'own', 'image': image, 'resources': SMALL}
    outputs = []
    for more in ({}, {'args': ['mine']}, {'command': ['/bin/sh', '-c', 'echo $FROM; pwd']}):
        job = strata.wait_job('demo', strata.submit('demo', {**base, **more})['id'])
        outputs.append(strata.job_log('demo', job['id']))
    assert outputs == ['entry cmd\n', 'entry mine\n', 'image\n/etc\n']


def test_volumes_are_mounted_and_read_only_is_kept(strata):
    strata.volume('demo', 'jobvol')
    job = strata.run_job('demo', ['sh', '-c', 'echo kept > /data/file'], name='write',
                         volumes=[{'name': 'jobvol', 'path': '/data', 'mode': 'rw'}])
    assert job['state'] == 'succeeded', strata.job_log('demo', job['id'])
    r = strata.api('GET', '/api/v1/projects/demo/volumes/jobvol/files/file')
    assert r.text == 'kept\n'
    job = strata.run_job('demo', ['sh', '-c', 'cat /data/file; echo no > /data/file'], name='read',
                         volumes=[{'name': 'jobvol', 'path': '/data'}])
    assert job['state'] == 'failed'
    assert 'Read-only' in strata.job_log('demo', job['id'])


def test_a_volume_on_a_file_fails_at_once_and_names_it(strata):
    strata.volume('demo', 'jobvol')
    job = strata.run_job('demo', ['true'], name='onfile', retries=0,
                         volumes=[{'name': 'jobvol', 'path': '/etc/passwd', 'mode': 'rw'}])
    assert job['state'] == 'failed' and '/etc/passwd' in job['reason'] and job['exit'] is None
    assert states(job) == ['queued', 'starting', 'failed']


def test_a_volume_in_use_cannot_be_deleted(strata):
    strata.volume('demo', 'busyvol')
    job = strata.submit('demo', shell(strata, 'sleep 600', volumes=[{'name': 'busyvol', 'path': '/v'}]))
    r = strata.api('DELETE', '/api/v1/projects/demo/volumes/busyvol')
    assert r.status_code == 409, r.text
    cancel(strata, job['id'])
    strata.wait_job('demo', job['id'])
    wait_for(lambda: strata.api('DELETE', '/api/v1/projects/demo/volumes/busyvol').status_code == 204)


def test_without_a_network_there_is_only_loopback(strata):
    job = strata.run_job('demo', ['sh', '-c', 'ls /sys/class/net 2>/dev/null || ifconfig -a | grep -o "^[a-z0-9]*"'],
                         name='net')
    assert strata.job_log('demo', job['id']).split() == ['lo']


def test_the_hosts_network_is_for_admins_unless_the_settings_say_otherwise(strata, own_strata):
    strata.user('hostnet', 'demo', 'maintainer')
    spec = shell(strata, 'true', network='host')
    refused = strata.submit('demo', spec, status=403, user='hostnet')
    assert 'jobs.host_network' in refused['error']['message']
    assert strata.wait_job('demo', strata.submit('demo', spec)['id'])['state'] == 'succeeded'
    open_one = own_strata(['--set', 'jobs.host_network=true']).start()
    open_one.user('hostnet', 'demo', 'developer')
    open_one.submit('demo', shell(open_one, 'true', network='host'), user='hostnet')


def test_a_log_has_a_limit(own_strata):
    s = own_strata(['--set', 'jobs.log_max=1Mi']).start()
    job = s.run_job('demo', ['sh', '-c', 'head -c 3145728 /dev/zero; exit 5'])
    assert job['exit']['code'] == 5
    log = s.job_log('demo', job['id'])
    assert log[1 << 20:] == '\n[strata: 2097152 bytes of output are lost: jobs.log_max is 1.0 MiB]\n'


def test_a_job_without_gpus_sees_none(strata):
    job = strata.run_job('demo', ['sh', '-c', 'ls /dev'], name='dev')
    assert 'nvidia' not in strata.job_log('demo', job['id'])


# --- secrets ---

def test_secrets_reach_the_job_and_nothing_else(strata):
    value = 'sesame-' + uuid.uuid4().hex
    assert strata.busybox
    r = strata.api('PUT', '/api/v1/projects/demo/secrets/door', json={'value': value})
    assert r.status_code == 204, r.text
    job = strata.run_job('demo', ['sh', '-c', 'printf %s "$KEY" | sha256sum'], name='secret', secrets={'KEY': 'door'})
    assert strata.job_log('demo', job['id']).split()[0] == hashlib.sha256(value.encode()).hexdigest()
    assert value not in json.dumps(job) and value not in strata.log()
    for name in ('state.db', 'state.db-wal'):
        path = strata.state / name
        assert not path.exists() or value.encode() not in path.read_bytes()
    for left in strata.state.glob('jobs/*/*'):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # it may just be removed
            assert value.encode() not in left.read_bytes(), left


def test_a_secret_that_is_not_there_is_told_at_submit(strata):
    e = refused(strata, shell(strata, 'true', secrets={'KEY': 'no-such'}), 404)
    assert 'no-such' in e['message'] and 'secrets.KEY' in e['message']


# --- what is refused at submit ---

def test_all_mistakes_are_told_at_once_with_line_and_key(strata):
    text = 'name: A\nimage: busybox\ncomand: [a]\nresources:\n  cpu: two\n  memory: 1Gb\nretries: -1\n'
    e = refused(strata, text, headers={'Content-Type': 'application/yaml'})
    assert e['kind'] == 'invalid'
    assert [(m['line'], m['key']) for m in e['mistakes']] == [
        (1, 'name'), (2, 'image'), (3, 'comand'), (5, 'resources.cpu'), (6, 'resources.memory'), (7, 'retries')]
    assert "did you mean 'command'?" in e['mistakes'][2]['message']
    assert 'line 3' in e['message']


@pytest.mark.parametrize('text,words', [
    ('name: [a\nimage: b\n', 'YAML line'),
    ('name: a\n image: b\n', 'line 2'),
    ('a: &x [*x]\n', 'anchors'),
    ('', 'empty'),
    ('just words', 'a map of keys'),
    ('{"name": "a", "image": "b"', 'YAML line 2'),
    (b'\xff\xfe\x00', 'YAML'),
])
def test_broken_yaml_is_told_with_its_line(strata, text, words):
    assert words in refused(strata, text)['message']


def test_a_spec_of_a_megabyte_is_refused(strata):
    e = refused(strata, 'name: a\n' + '# x\n' * 300000, 413)
    assert e['kind'] == 'limit'
    assert 'nested deeper' in refused(strata, '[' * 5000, 413)['message']


def test_an_image_that_does_not_exist_is_told_at_submit(strata):
    assert strata.busybox
    e = refused(strata, {'name': 'a', 'image': 'demo/nothing:1', 'command': ['a']}, 404)
    assert 'demo/nothing' in e['message']
    e = refused(strata, {'name': 'a', 'image': 'demo/busybox:999', 'command': ['a']}, 404)
    assert '999' in e['message']


def test_an_image_of_another_project_needs_the_right_to_pull(strata):
    assert strata.busybox
    strata.project('hidden')
    strata.user('walter', 'other', 'developer')
    r = strata.api('POST', '/api/v1/projects/other/jobs', user='walter',
                   json={'name': 'a', 'image': strata.busybox, 'command': ['true']})
    assert r.status_code == 404, r.text
    assert 'demo/busybox' in r.json()['error']['message']


def test_an_image_for_another_architecture_is_told_at_submit(strata):
    image = push_image(strata, 'demo/alien', '1', b'\0' * 10240, architecture='s390x')
    e = refused(strata, {'name': 'a', 'image': image, 'command': ['true']})
    assert 's390x' in e['message']


def test_a_request_larger_than_the_machine_says_what_exists(strata):
    node = strata.api('GET', '/api/v1/nodes').json()['items'][0]
    e = refused(strata, spec(strata, ['true'], resources={'cpu': 4096}))
    assert 'asks for 4096 CPUs; this machine has ' + str(node['cpu_milli'] // 1000) in e['message']
    e = refused(strata, spec(strata, ['true'], resources={'memory': '512Ti'}))
    assert 'asks for 512.0 TiB' in e['message']
    if node['gpus'] == 0:
        e = refused(strata, spec(strata, ['true'], resources={'gpu': 1}))
        assert 'asks for 1 GPU; this machine has 0' in e['message']


def test_all_that_the_machine_lacks_is_told_at_once_with_line_and_key(strata):
    if strata.api('GET', '/api/v1/nodes').json()['items'][0]['gpus']:
        pytest.skip('has a GPU')
    text = (f'image: {strata.busybox}\nretries: -1\nresources:\n  cpu: 4096\n  memory: 900Ti\n  gpu: 1\n')
    e = refused(strata, text, headers={'Content-Type': 'application/yaml'})
    assert [(m['line'], m['key']) for m in e['mistakes']] == [
        (2, 'retries'), (4, 'resources.cpu'), (5, 'resources.memory'), (6, 'resources.gpu')]
    assert all('this machine has' in m['message'] for m in e['mistakes'][1:])


def test_what_linux_does_not_take_as_argument_or_variable_is_told_at_submit(strata):
    long = 'x' * 131072
    for more, key in (({'command': ['echo', long]}, 'command[1]'), ({'env': {'A': long}}, 'env.A')):
        e = refused(strata, {**shell(strata, 'true'), **more})
        assert [(m['key'], m['line']) for m in e['mistakes']] == [(key, 1)]
        assert 'Linux takes 131071' in e['message']
    job = strata.run_job('demo', ['sh', '-c', 'echo ${#A} ${#0}', long[:100000]], env={'A': long[:100000]})
    assert strata.job_log('demo', job['id']) == '100000 100000\n'
    for i in range(33):
        assert strata.api('PUT', f'/api/v1/projects/demo/secrets/fat{i}', json={'value': long[:65536]}).status_code == 204
    e = refused(strata, shell(strata, 'true', secrets={f'S{i}': f'fat{i}' for i in range(33)}))
    assert e['message'].startswith('secrets: ') and 'Linux takes' in e['message']


@pytest.mark.parametrize('given, want', [('/app/', '/app'), ('app', '/app'), ('/app//x', '/app/x'), ('/app/../tmp', '/tmp')])
def test_a_working_directory_of_an_image_is_read_as_docker_does(strata, given, want):
    assert strata.busybox
    layer = (strata.state.parent / (strata.state.name + '-busybox.tar')).read_bytes()
    image = push_image(strata, 'demo/workdir', 'x', layer, Cmd=['/bin/pwd'], WorkingDir=given)
    job = strata.wait_job('demo', strata.submit('demo', {'image': image, 'resources': SMALL})['id'])
    assert job['state'] == 'succeeded', job['reason']
    assert strata.job_log('demo', job['id']) == want + '\n'


def test_a_volume_that_does_not_exist_is_told_at_submit(strata):
    e = refused(strata, shell(strata, 'true', volumes=[{'name': 'no-such', 'path': '/v'}]), 404)
    assert 'no-such' in e['message'] and 'volumes[0]' in e['message']


def test_the_project_of_the_spec_must_be_the_one_of_the_path(strata):
    assert "says 'elsewhere'" in refused(strata, shell(strata, 'true', project='elsewhere'))['message']


# --- the queue ---

@pytest.fixture
def full(strata):
    """All CPUs taken by one job until the test lets go."""
    node = strata.api('GET', '/api/v1/nodes').json()['items'][0]
    job = strata.submit('demo', shell(strata, 'sleep 600', resources={'cpu': f'{node["cpu_milli"]}m', 'memory': '64Mi'}))
    strata.wait_job('demo', job['id'], ('running',))
    done = []

    def let_go():
        if not done:
            done.append(1)
            cancel(strata, job['id'])
            strata.wait_job('demo', job['id'])
    yield let_go
    let_go()


def test_jobs_start_in_the_order_of_submission_and_say_why_they_wait(strata, full):
    ids = [strata.submit('demo', shell(strata, 'true', name=f'q{i}'))['id'] for i in range(3)]
    seen = [strata.job('demo', i) for i in ids]
    assert [j['queue_position'] for j in seen] == [1, 2, 3]
    assert re.fullmatch(r'waits for 0\.10 CPUs: 0\.0 of [\d.]+ free', seen[0]['reason'])
    assert seen[1]['reason'].startswith('waits behind 1 job; the first one waits for')
    assert strata.api('GET', '/api/v1/queue').json() == {'queued': 3, 'running': 1}
    cancel(strata, ids[1])
    assert strata.job('demo', ids[2])['queue_position'] == 2
    full()
    jobs = [strata.wait_job('demo', i) for i in ids]
    assert [j['state'] for j in jobs] == ['succeeded', 'cancelled', 'succeeded']
    first, third = (datetime.datetime.fromisoformat(next(h['at'] for h in j['history'] if h['state'] == 'starting')) for j in (jobs[0], jobs[2]))
    assert first <= third + datetime.timedelta(seconds=1), 'one turn starts both side by side, either may be a blink earlier'


def test_nobody_overtakes_the_head_of_the_queue(strata):
    node = strata.api('GET', '/api/v1/nodes').json()['items'][0]
    all_cpus, half = f'{node["cpu_milli"]}m', f'{node["cpu_milli"] // 2}m'
    first = strata.submit('demo', shell(strata, 'sleep 600', resources={'cpu': half, 'memory': '64Mi'}))
    strata.wait_job('demo', first['id'], ('running',))
    big = strata.submit('demo', shell(strata, 'true', resources={'cpu': all_cpus, 'memory': '64Mi'}))
    small = strata.submit('demo', shell(strata, 'true'))
    assert strata.job('demo', small['id'])['state'] == 'queued'
    assert strata.job('demo', big['id'])['state'] == 'queued'
    cancel(strata, first['id'])
    big, small = strata.wait_job('demo', big['id']), strata.wait_job('demo', small['id'])
    assert big['started_at'] <= small['started_at']


def test_the_digest_is_pinned_when_the_tag_moves(strata, full):
    layer = (strata.state.parent / (strata.state.name + '-busybox.tar')).read_bytes()
    image = push_image(strata, 'demo/moving', 'x', layer, Cmd=['/bin/echo', 'old'])
    job = strata.submit('demo', {'name': 'm', 'image': image, 'resources': SMALL})
    push_image(strata, 'demo/moving', 'x', layer, Cmd=['/bin/echo', 'new'])
    full()
    after = strata.wait_job('demo', job['id'])
    assert after['digest'] == job['digest']
    assert strata.job_log('demo', job['id']) == 'old\n'


# --- ending ---

def test_a_queued_job_is_cancelled_at_once(strata, full):
    job = cancel(strata, strata.submit('demo', shell(strata, 'true'))['id'])
    assert job['state'] == 'cancelled' and job['reason'] == 'cancelled by admin'
    assert states(job) == ['queued', 'cancelled'] and job['exit'] is None
    assert log_of(strata, job['id']) == '' and log_of(strata, job['id'], follow=1) == ''
    cancel(strata, job['id'], 409)


def test_a_running_job_gets_sigterm_and_may_clean_up(strata):
    job = strata.submit('demo', shell(strata, 'trap "echo bye; exit 0" TERM; echo ready; while :; do sleep 0.05; done'))
    wait_for(lambda: 'ready' in log_of(strata, job['id']))
    cancel(strata, job['id'])
    job = strata.wait_job('demo', job['id'])
    assert job['state'] == 'cancelled' and job['reason'] == 'cancelled by admin'
    assert log_of(strata, job['id']) == 'ready\nbye\n'


def test_sigkill_follows_after_the_grace(strata):
    job = strata.submit('demo', shell(strata, 'trap "echo no" TERM; echo ready; while :; do sleep 0.05; done',
                                      grace='1s', retries=5))
    wait_for(lambda: 'ready' in log_of(strata, job['id']))
    began = time.monotonic()
    cancel(strata, job['id'])
    job = strata.wait_job('demo', job['id'])
    assert job['state'] == 'cancelled' and job['attempt'] == 1
    assert 0.9 < time.monotonic() - began < 8


def test_a_timeout_ends_it_and_says_so(strata):
    job = strata.run_job('demo', ['sh', '-c', 'sleep 600'], name='slow', timeout='1s', grace='1s')
    assert job['state'] == 'failed'
    assert job['exit'] == {'kind': 'timeout', 'code': 124,
                           'text': 'stopped: it ran longer than its timeout of 1.0 s'}


def test_a_timeout_is_one_also_when_a_child_was_out_of_memory_before(strata):
    job = strata.run_job('demo', ['sh', '-c', 'trap "" TERM; tail /dev/zero; echo coped; while :; do sleep 0.1; done'],
                         name='coped', timeout='3s', grace='1s')
    assert 'coped' in strata.job_log('demo', job['id'])
    assert (job['exit']['kind'], job['exit']['code']) == ('timeout', 124), job['exit']


def test_retries_keep_every_attempt_and_its_log(strata):
    job = strata.run_job('demo', ['sh', '-c', 'echo attempt $STRATA_ATTEMPT; [ $STRATA_ATTEMPT = 3 ]'], name='again',
                         retries=5)
    assert job['state'] == 'succeeded' and job['attempt'] == 3
    assert states(job) == ['queued', 'starting', 'running', 'failed'] * 2 + ['queued', 'starting', 'running', 'succeeded']
    assert [h['reason'] for h in job['history'] if h['state'] == 'queued'] == [
        'submitted by admin', 'retry 1 of 5', 'retry 2 of 5']
    assert log_of(strata, job['id']) == 'attempt 3\n'
    assert [log_of(strata, job['id'], attempt=n) for n in (1, 2, 3)] == [f'attempt {n}\n' for n in (1, 2, 3)]
    assert log_of(strata, job['id'], attempt=1, follow=1) == 'attempt 1\nattempt 2\nattempt 3\n'
    assert strata.api('GET', f'{JOBS}/{job["id"]}/log', params={'attempt': 4}).status_code == 400


def test_deleting_needs_an_end_and_takes_the_log(strata):
    job = strata.submit('demo', shell(strata, 'echo x; sleep 600'))
    strata.wait_job('demo', job['id'], ('running',))
    r = strata.api('DELETE', f'{JOBS}/{job["id"]}')
    assert r.status_code == 409 and 'cancel it first' in r.json()['error']['message']
    cancel(strata, job['id'])
    strata.wait_job('demo', job['id'])
    assert strata.api('DELETE', f'{JOBS}/{job["id"]}').status_code == 204
    wait_for(lambda: not list(strata.state.glob(f'jobs/{job["id"]}-*')), 20, 'its log is gone')
    for path in ('', '/log'):
        assert strata.api('GET', f'{JOBS}/{job["id"]}{path}').status_code == 404
    assert strata.api('DELETE', f'{JOBS}/{job["id"]}').status_code == 404


def test_nothing_but_log_and_samples_are_left_of_an_ended_container(strata):
    job = strata.run_job('demo', ['sh', '-c', 'echo x; dd if=/dev/zero of=/big bs=1M count=20 2>/dev/null'], name='rest')
    folder = strata.state / 'jobs' / (job['id'] + '-1')
    wait_for(lambda: {p.name for p in folder.iterdir()} == {'log', 'usage'}, what=f'{folder} holds log and samples only')


# --- logs ---

def test_a_followed_log_arrives_line_by_line_and_ends_with_the_job(strata):
    job = strata.submit('demo', shell(strata, 'for i in 1 2 3; do echo line $i; sleep 0.4; done'))
    r = strata.api('GET', f'{JOBS}/{job["id"]}/log', params={'follow': 1}, stream=True)
    seen = [(time.monotonic(), line) for line in r.iter_lines(chunk_size=1)]
    assert [line for _, line in seen] == [b'line 1', b'line 2', b'line 3']
    assert seen[2][0] - seen[0][0] > 0.5  # not all at the end
    assert strata.job('demo', job['id'])['state'] == 'succeeded'


def test_a_log_is_read_from_an_offset(strata):
    job = strata.run_job('demo', ['sh', '-c', 'seq 1 1000'], name='seq')
    whole = log_of(strata, job['id'])
    assert whole == ''.join(f'{i}\n' for i in range(1, 1001))
    for offset in (1, 1000, len(whole) - 1, len(whole), len(whole) + 10):
        assert log_of(strata, job['id'], offset=offset) == whole[offset:]
        assert log_of(strata, job['id'], offset=offset, follow=1) == whole[offset:]
    r = strata.api('GET', f'{JOBS}/{job["id"]}/log', headers={'Range': 'bytes=0-1'})
    assert (r.status_code, r.text) == (206, '1\n')


def test_who_looks_while_a_job_starts_is_not_refused(strata):
    """The directory and the log are born readable for the server."""
    for _ in range(25):
        job = strata.submit('demo', spec(strata, ['true']))
        while strata.job('demo', job['id'])['state'] != 'succeeded':
            for _ in range(20):
                log_of(strata, job['id'])


def test_following_goes_on_into_the_retries(strata):
    job = strata.submit('demo', shell(strata, 'echo from $STRATA_ATTEMPT; sleep 0.3; exit 1', retries=2))
    assert log_of(strata, job['id'], attempt=1, follow=1) == 'from 1\nfrom 2\nfrom 3\n'
    assert strata.job('demo', job['id'])['state'] == 'failed'


def rss(pid):
    status = pathlib.Path(f'/proc/{pid}/status').read_text()
    return int(re.search(r'VmRSS:\s+(\d+)', status).group(1)) * 1024


def test_a_huge_log_and_a_slow_reader_cost_no_memory(strata):
    job = strata.submit('demo', shell(strata, 'yes 0123456789abcde | head -c 200000000',
                                      resources={'cpu': 1, 'memory': '64Mi'}))
    before = rss(strata.pids()['server'])
    r = strata.api('GET', f'{JOBS}/{job["id"]}/log', params={'follow': 1}, stream=True)
    slow = strata.api('GET', f'{JOBS}/{job["id"]}/log', params={'follow': 1}, stream=True)
    got, digest, most = 0, hashlib.sha256(), 0
    for chunk in r.iter_content(1 << 20):
        got += len(chunk)
        digest.update(chunk)
        most = max(most, rss(strata.pids()['server']))
    slow.close()
    assert got == 200000000
    assert digest.hexdigest() == hashlib.sha256(b'0123456789abcde\n' * (200000000 // 16)).hexdigest()
    assert most - before < 16 << 20


def test_many_followers_cost_no_threads(strata):
    job = strata.submit('demo', shell(strata, 'echo begin; sleep 600'))
    wait_for(lambda: 'begin' in log_of(strata, job['id']))
    server = strata.pids()['server']
    threads = len(os.listdir(f'/proc/{server}/task'))
    open_streams = [strata.api('GET', f'{JOBS}/{job["id"]}/log', params={'follow': 1}, stream=True) for _ in range(100)]
    for r in open_streams:
        assert next(r.iter_content(6)) == b'begin\n'
    assert len(os.listdir(f'/proc/{server}/task')) <= threads + 16
    cancel(strata, job['id'])
    for r in open_streams:
        assert b''.join(r.iter_content(1024)) == b''


# --- lists, rights, events ---

def test_lists_are_paged_filtered_and_newest_first(strata):
    strata.project('lists')
    strata.user('lister', 'demo', 'developer')
    r = strata.api('PUT', '/api/v1/projects/lists/members/lister', json={'role': 'developer'})
    assert r.status_code < 300
    ids = [strata.submit('lists', shell(strata, 'exit ' + str(i % 2), name=f'n{i}'), user='lister')['id'] for i in range(7)]
    for i in ids:
        strata.wait_job('lists', i)
    url = '/api/v1/projects/lists/jobs'
    seen, after = [], None
    while True:
        page = strata.api('GET', url, params={'limit': 3, **({'after': after} if after else {})}).json()
        assert len(page['items']) <= 3
        seen += [j['id'] for j in page['items']]
        after = page['next']
        if after is None:
            break
    assert seen == ids[::-1]
    failed = strata.api('GET', url, params={'state': 'failed'}).json()['items']
    assert [j['id'] for j in failed] == ids[1::2][::-1]
    both = strata.api('GET', url, params={'state': 'failed,succeeded', 'limit': 2}).json()
    assert [j['id'] for j in both['items']] == ids[:-3:-1] and both['next']
    assert strata.api('GET', url, params={'state': 'queued'}).json()['items'] == []
    for params, words in (({'state': 'faild'}, "did you mean 'failed'"), ({'limit': 0}, 'limit'), ({'after': 'x'}, 'after')):
        r = strata.api('GET', url, params=params)
        assert r.status_code == 400 and words in r.json()['error']['message']


def test_a_job_is_only_seen_through_its_own_project(strata):
    job = strata.run_job('demo', ['true'], name='mine')
    strata.project('lists')
    for method, path in (('GET', ''), ('GET', '/log'), ('POST', '/cancel'), ('DELETE', '')):
        r = strata.api(method, f'/api/v1/projects/lists/jobs/{job["id"]}{path}')
        assert r.status_code == 404, (method, path, r.text)


def test_guests_look_and_do_not_touch(strata):
    strata.user('gustav', 'demo', 'guest')
    job = strata.run_job('demo', ['true'], name='seen')
    assert strata.api('GET', f'{JOBS}/{job["id"]}', user='gustav').status_code == 200
    r = strata.api('POST', JOBS, user='gustav', json=shell(strata, 'true'))
    assert r.status_code == 403
    for method, path in (('POST', '/cancel'), ('DELETE', '')):
        assert strata.api(method, f'{JOBS}/{job["id"]}{path}', user='gustav').status_code == 403
    assert strata.api('GET', JOBS, user=None).status_code in (401, 404)


def test_events_tell_every_change(strata):
    assert strata.busybox
    stream = strata.api('GET', '/api/v1/events', stream=True)
    job = strata.submit('demo', shell(strata, 'true', name='told'))
    seen = []
    for line in stream.iter_lines(chunk_size=1):
        if line.startswith(b'data: ') and job['id'].encode() in line:
            event = json.loads(line[6:])
            assert event['project'] == 'demo' and event['name'] == 'told'
            seen.append(event['state'])
            if event['state'] in ('succeeded', 'failed'):
                break
    stream.close()
    assert [s for s in seen if s != 'running'] == ['queued', 'starting', 'succeeded']


def test_a_project_takes_its_jobs_with_it(strata):
    def all_is_free():
        node = strata.api('GET', '/api/v1/nodes').json()['items'][0]
        return node['cpu_milli_free'] == node['cpu_milli']

    strata.project('shortlived')
    assert strata.busybox
    wait_for(all_is_free, what='jobs of other tests are gone')
    running = strata.submit('shortlived', shell(strata, 'sleep 600'))
    strata.wait_job('shortlived', running['id'], ('running',))
    r = strata.api('DELETE', '/api/v1/projects/shortlived')
    assert r.status_code == 204, r.text
    assert all_is_free()
    strata.project('shortlived')
    assert strata.api('GET', '/api/v1/projects/shortlived/jobs').json()['items'] == []


def test_a_project_goes_though_its_job_is_stubborn_and_leaves_nothing(strata):
    strata.project('stubborn')
    job = strata.submit('stubborn', shell(strata, 'trap "" TERM; dd if=/dev/zero of=/big bs=1M count=8; echo ready; '
                                          'while :; do sleep 0.1; done', grace='1h'))
    wait_for(lambda: 'ready' in strata.job_log('stubborn', job['id']))
    r = strata.api('DELETE', '/api/v1/projects/stubborn')
    assert r.status_code == 204, r.text
    wait_for(lambda: not list(strata.state.glob(f'jobs/{job["id"]}-*')), 20, 'its files are gone')


# --- restarts ---

def test_a_clean_restart_leaves_running_jobs_alone(own_strata):
    s = own_strata().start()
    job = s.submit('demo', shell(s, 'echo before; while [ ! -e /tmp/go ]; do sleep 0.1; done; seq 1 3; exit 5'))
    s.wait_job('demo', job['id'], ('running',))
    wait_for(lambda: 'before' in s.job_log('demo', job['id']))
    queued = s.submit('demo', spec(s, ['true'], resources={'cpu': 2, 'memory': '64Mi'}))
    assert s.stop() == 0
    s.start()
    assert s.job('demo', job['id'])['state'] == 'running'
    assert s.job('demo', queued['id'])['queue_position'] == 1
    cancel(s, job['id'])
    assert s.wait_job('demo', job['id'])['state'] == 'cancelled'
    assert s.wait_job('demo', queued['id'])['state'] == 'succeeded'


def test_a_job_that_ends_while_everything_is_down_is_recorded(own_strata):
    s = own_strata().start()
    job = s.submit('demo', shell(s, 'echo one; sleep 1.5; echo two; exit 42'))
    s.wait_job('demo', job['id'], ('running',))
    s.kill()
    folder = s.state / 'jobs' / (job['id'] + '-1')
    wait_for((folder / 'exit').exists, what='the shim wrote the exit code')
    s.start()
    job = s.wait_job('demo', job['id'])
    assert job['state'] == 'failed' and job['exit']['code'] == 42
    assert s.job_log('demo', job['id']) == 'one\ntwo\n'
    assert states(job) == ['queued', 'starting', 'running', 'failed']


def test_a_timeout_counts_over_a_restart(own_strata):
    s = own_strata().start()
    job = s.submit('demo', shell(s, 'sleep 600', timeout='3s', grace='1s'))
    s.wait_job('demo', job['id'], ('running',))
    s.kill()
    s.start()
    job = s.wait_job('demo', job['id'])
    assert job['exit']['kind'] == 'timeout'


# --- a full disk ---

@pytest.fixture
def small_disk(scratch):
    """An ext4 file system of 160 MiB in a file."""
    image, where = scratch / 'small.img', scratch / 'small'
    where.mkdir()
    with open(image, 'wb') as f:
        f.truncate(160 << 20)
    for command in (['mkfs.ext4', '-q', '-F', '-m', '0', image], ['mount', '-o', 'loop', image, where]):
        r = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if r.returncode:
            pytest.skip(f'no loop device here: {r.stderr}')
    yield where
    wait_for(lambda: subprocess.run(['umount', str(where)], capture_output=True).returncode == 0, 30, 'umount')


def fill(path):
    """Writes until the disk is full to the last block."""
    with open(path, 'wb', buffering=0) as f:
        size = 1 << 20
        while size:
            try:
                f.write(b'x' * size)
            except OSError:
                size //= 2


def test_a_full_disk_is_told_and_nothing_is_lost(small_disk, own_strata):
    s = own_strata(state=small_disk / 'state').start()
    before = s.run_job('demo', ['sh', '-c', 'echo kept'], name='before')
    running = s.submit('demo', shell(s, 'sleep 600'))
    s.wait_job('demo', running['id'], ('running',))
    fill(small_disk / 'fat')
    body, error = shell(s, 'true'), None
    for _ in range(200):  # SQLite's log may have room for a few more
        r = s.api('POST', JOBS, json=body)
        if r.status_code != 202:
            error = r.json()['error']
            break
    assert error and error['kind'] == 'no_space', error
    assert 'space' in error['message']
    assert s.job_log('demo', before['id']) == 'kept\n'
    assert s.job('demo', running['id'])['state'] == 'running'
    (small_disk / 'fat').unlink()
    cancel(s, running['id'])
    assert s.wait_job('demo', running['id'])['state'] == 'cancelled'
    accepted = s.api('GET', JOBS, params={'limit': 1000}).json()['items']
    assert all(s.wait_job('demo', j['id'])['state'] in ('succeeded', 'cancelled') for j in accepted)
    assert s.run_job('demo', ['true'], name='after')['state'] == 'succeeded'
