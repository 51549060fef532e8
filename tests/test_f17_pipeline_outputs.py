"""What pipelines keep and read, against who writes beside them; folders of many files; who may try again."""
import json
import os
import pathlib
import subprocess

import pytest

from conftest import wait_for
from test_f10_pipelines import bring, chain, check, end, get_run, put, put_file, run, start, states, studio  # noqa: F401

P = '/api/v1/projects/studio'
GATE = 'until [ -e /out/go ]; do sleep 0.1; done'
MODULES = {
    'make': ((), "[sh, -c, 'echo made > \"$0\"', {outputPath: out}]"),
    'gate': ((), "[sh, -c, '%s; echo x > \"$0\"', {outputPath: out}]" % GATE),
    'copy': (('from', 'after'), "[sh, -c, 'cat \"$1\" > \"$0\"', {outputPath: out}, {inputPath: from}, {inputPath: after}]"),
    'slow-copy': (('from',), "[sh, -c, '%s; cat \"$1\" > \"$0\"', {outputPath: out}, {inputPath: from}]" % GATE),
}


@pytest.fixture(scope='module')
def steps(studio):
    for name, (inputs, command) in MODULES.items():
        bring(studio, name, f'inputs: [{", ".join("{name: %s}" % i for i in inputs)}]\noutputs: [{{name: out}}]\n'
                            f'implementation: {{container: {{image: {studio.busybox}, command: {command}}}}}\n')
    return studio


def root_of(strata, volume):
    """Where its files are on the disk: a container that mounts the volume writes there too."""
    return pathlib.Path(strata.state) / 'volumes' / strata.api('GET', f'{P}/volumes/{volume}').json()['id']


def running(strata, begun, node):
    wait_for(lambda: get_run(strata, begun['id'])['nodes'][node]['state'] == 'running', 60, f'{node} runs')
    return get_run(strata, begun['id'])['nodes'][node]['job']


def text_of(strata, done, node):
    r = strata.api('GET', f'{P}/runs/{done["id"]}/nodes/{node}/outputs/out')
    assert r.status_code == 200, r.text
    return r.text


# --- outputs that somebody writes over: as many bytes, the same inode ---

@pytest.mark.parametrize('when', ['since it was made', 'while the step read it'])
def test_an_output_that_was_changed_fails_who_reads_it_and_is_found_by_nobody(steps, when):
    volume = 'early' if when.startswith('since') else 'late'
    nodes = {'a': {'module': 'make'}}
    if volume == 'early':
        nodes |= {'g': {'module': 'gate'}, 'b': {'module': 'copy', 'inputs': {'from': 'a.out', 'after': 'g.out'}}}
    else:
        nodes |= {'g': {'module': 'slow-copy', 'inputs': {'from': 'a.out'}}}
    put(steps, volume, {'pipeline': 1, 'volume': volume, 'nodes': nodes})
    reader = 'b' if volume == 'early' else 'g'

    def through(change):
        begun = start(steps, volume)
        job = running(steps, begun, 'g')
        wait_for(lambda: get_run(steps, begun['id'])['nodes']['a']['state'] in ('succeeded', 'cached'), 60, 'a is made')
        made = root_of(steps, volume) / '.studio'
        if change:
            next(made.glob('*/out.bin')).write_bytes(b'evil\n')
        (made / 'tmp' / job / 'go').touch()
        return end(steps, begun['id'])
    bad = through(change=True)
    assert states(bad)[reader] == 'failed', states(bad)
    assert f'the output out of a was changed in the volume {volume} {when}' in bad['nodes'][reader]['error']['message']
    good = through(change=False) if volume == 'late' else run(steps, volume)
    assert good['state'] == 'succeeded' and good['nodes']['a']['cache']['why'] == 'its output is gone'
    assert text_of(steps, good, reader) == 'made\n'


def test_who_reads_beside_others_is_not_deceived_by_their_looks(steps):
    """Foreign bytes, and the first ones again: one reader ends and looks, then the other."""
    put(steps, 'two', {'pipeline': 1, 'volume': 'two', 'nodes': {'a': {'module': 'make'}, 'g': {'module': 'slow-copy', 'inputs': {'from': 'a.out'}},
                                                               'h': {'module': 'slow-copy', 'inputs': {'from': 'a.out'}, 'cache': False}}})
    begun = start(steps, 'two')
    jobs = [running(steps, begun, n) for n in ('g', 'h')]
    made = root_of(steps, 'two') / '.studio'
    kept = next(made.glob('*/out.bin'))
    for text in (b'evil\n', b'made\n'):
        kept.write_bytes(text)
    (made / 'tmp' / jobs[0] / 'go').touch()
    wait_for(lambda: get_run(steps, begun['id'])['nodes']['g']['state'] == 'failed', 60, 'the first one ends')
    (made / 'tmp' / jobs[1] / 'go').touch()
    assert states(end(steps, begun['id'])) == {'a': 'succeeded', 'g': 'failed', 'h': 'failed'}


def test_nobody_writes_where_pipelines_keep_what_they_made(steps):
    put(steps, 'kept', {'pipeline': 1, 'volume': 'kept', 'nodes': {'a': {'module': 'make'}}})
    done = run(steps, 'kept')
    (made,) = (root_of(steps, 'kept') / '.studio').glob('*/out.bin')
    key = made.parent.name
    volume = {'name': 'kept', 'path': '/kept', 'mode': 'rw'}
    tried = steps.run_job('studio', ['sh', '-c', 'cd /kept && echo own > own && cat .studio/*/out.bin; echo evil > .studio/%s/out.bin; mv .studio away; rm -rf .studio;'
                                                 ' mkdir .studio/x; umount .studio; ln -s .studio link; echo evil > link/%s/out.bin; mkdir -p deep; mv .studio/%s deep; true' % (key, key, key)], volumes=[volume])
    assert tried['state'] == 'succeeded', tried
    log = steps.job_log('studio', tried['id'])
    assert 'made\n' in log and log.count('Read-only file system') >= 3 and 'evil' not in log, log
    assert made.read_text() == 'made\n' and (root_of(steps, 'kept') / 'own').read_text() == 'own\n'
    for subpath in ('.studio', f'.studio/{key}'):
        refused = steps.submit('studio', {'image': steps.busybox, 'command': ['true'], 'volumes': [{**volume, 'subpath': subpath}]}, status=400)
        assert 'mount it with mode ro' in refused['error']['message']
        assert steps.run_job('studio', ['sh', '-c', 'ls /kept'], volumes=[{**volume, 'subpath': subpath, 'mode': 'ro'}])['state'] == 'succeeded'
    steps.run_job('studio', ['sh', '-c', 'ln -s . /kept/here'], volumes=[volume])
    for a, b in (('.studio', 'away'), (f'.studio/{key}', 'away'), ('deep', f'.studio/{key}x'), ('deep', '.studio'), ('here/.studio', 'away'),
                 (f'link/{key}', 'away'), (f'here/link/{key}/out.bin', 'deep/x'), ('own', f'link/{key}/more')):
        r = steps.api('POST', f'{P}/volumes/kept/rename', json={'from': a, 'to': b, 'replace': True})
        assert r.status_code == 403 and 'pipelines keep there' in r.json()['error']['message'], (a, b, r.text)
    for path in (f'.studio/{key}/out.bin', '.studio/new', f'here/link/{key}/out.bin'):
        r = steps.api('PUT', f'{P}/volumes/kept/files/{path}', data=b'evil')
        assert r.status_code == 403 and 'pipelines keep there' in r.json()['error']['message'], (path, r.text)
    assert steps.api('POST', f'{P}/volumes/kept/rename', json={'from': 'own', 'to': 'here/deep/own'}).status_code == 204
    assert states(run(steps, 'kept')) == {'a': 'cached'} and text_of(steps, done, 'a') == 'made\n'


# --- folders of many files ---

def test_files_of_a_folder_are_opened_once_though_one_of_them_is_long_to_hash(steps):
    """As the server's agent of the volume counts: it sleeps between two requests."""
    n = 3000
    folder = root_of(steps, 'data') / 'many'
    put_file(steps, 'studio', 'data', 'many/0000.csv', b'a\n1\n')
    owner = (folder / '0000.csv').stat()
    for i in range(1, n):
        (folder / f'{i:04}.csv').write_bytes(b'a\n1\n')
        os.chown(folder / f'{i:04}.csv', owner.st_uid, owner.st_gid)
    os.truncate(folder / '1500.csv', 6 << 30)

    def requests():
        total = 0
        for status in pathlib.Path('/proc').glob('[0-9]*/status'):
            try:
                text, words = status.read_text(), (status.parent / 'cmdline').read_bytes().split(b'\0')
            except (FileNotFoundError, ProcessLookupError):
                continue
            if os.fsencode(steps.state) in words and 'Uid:\t%d\t' % owner.st_uid in text:
                total += int(text.split('voluntary_ctxt_switches:\t')[1].split()[0])
        return total
    put(steps, 'many', {'pipeline': 1, 'nodes': {'a': {'module': 'read_csv', 'params': {'path': 'data:many'}}}})
    before = requests()
    begun = start(steps, 'many')
    wait_for(lambda: get_run(steps, begun['id'])['nodes']['a']['state'] != 'waiting', 120, 'all is hashed')
    asked = requests() - before
    steps.api('POST', f'{P}/runs/{begun["id"]}/cancel')
    end(steps, begun['id'])
    steps.api('DELETE', f'{P}/volumes/data/files/many', params={'recursive': '1'})
    assert n / 2 <= asked < 3 * n, asked  # on a busy machine it finds the next one before it sleeps


# --- who may try again ---

def test_a_retry_needs_the_right_to_the_image_as_a_new_run_does(steps, tmp_path):
    steps.project('closed')
    steps.cli('image', 'copy', steps.busybox, 'closed/box:1', check=False)
    steps.cli('image', 'push', 'closed/box:1', '--tar', steps.state.parent / (steps.state.name + '-busybox.tar'), '--cmd', '/bin/sh', check=True)
    steps.user('remo', 'studio', 'maintainer')
    assert steps.api('PUT', '/api/v1/projects/closed/members/remo', json={'role': 'guest'}).status_code < 300
    bring(steps, 'borrows', 'outputs: [{name: out}]\nimplementation: {container: {image: "closed/box:1", command: [sh, -c, "exit 1", {outputPath: out}]}}\n')
    put(steps, 'borrows', {'pipeline': 1, 'nodes': {'a': {'module': 'borrows'}}})
    begun = steps.api('POST', f'{P}/pipelines/borrows/runs', user='remo', json={})
    assert begun.status_code == 202, begun.text
    run_id = begun.json()['id']
    assert end(steps, run_id)['state'] == 'failed'
    retry = f'{P}/runs/{run_id}/retry'
    assert steps.api('POST', retry, user='remo').status_code == 202
    assert end(steps, run_id)['state'] == 'failed'
    assert steps.api('DELETE', '/api/v1/projects/closed/members/remo').status_code == 204
    refused = steps.api('POST', retry, user='remo')
    assert refused.status_code == 404 and "no project 'closed' in this registry that you may pull from" in refused.json()['error']['message'], refused.text
    assert refused.json()['error']['message'].startswith('a: ')
    assert end(steps, run_id)['state'] == 'failed'
    assert steps.api('POST', retry).status_code == 202  # who may
    assert end(steps, run_id)['state'] == 'failed'
    assert steps.api('DELETE', f'{P}/members/remo').status_code == 204
    assert steps.api('POST', retry, user='remo').status_code in (403, 404)


# --- what the command line tells ---

def test_mistakes_are_told_once(steps):
    put(steps, 'torn', {'pipeline': 1, 'nodes': {'a': {'module': 'read_csv', 'params': {'path': 'data:none.csv'}},
                                                 'b': {'module': 'split', 'params': {'fraction': 7}, 'inputs': {'table': 'a.table'}}}})
    told = steps.cli('pipeline', 'run', 'torn', '-p', 'studio')
    assert told.returncode == 65 and told.stderr.count('none.csv') == 1 and told.stderr.count('fraction') >= 1, told.stderr
    assert 'mend the 2 lines above' in told.stderr
    put(steps, 'torn', {'pipeline': 1, 'nodes': {'a': {'module': 'read_csv', 'params': {'path': 'data:none.csv'}}}})
    told = steps.cli('pipeline', 'run', 'torn', '-p', 'studio')
    assert told.stderr.count('none.csv') == 1 and 'mend the line above' in told.stderr


def test_a_file_that_is_not_there_is_told_with_the_name_that_was_meant(steps):
    put_file(steps, 'studio', 'data', 'birds/penguins.csv', b'a\n1\n')

    def told(path):
        found = check(steps, {'pipeline': 1, 'nodes': {'a': {'module': 'read_csv', 'params': {'path': path}}}})
        return found['mistakes'][0]['message']
    assert told('data:birds/pengins.csv') == "the volume data has no 'birds/pengins.csv'; did you mean 'birds/penguins.csv'?"
    assert told('data:brids/penguins.csv') == "the volume data has no 'brids/penguins.csv'; did you mean 'birds'?"
    assert told('data:birds/owls-of-the-night.csv') == "the volume data has no 'birds/owls-of-the-night.csv'"
    assert 'no volume "dta" in this project; there are: ' in told('dta:birds/penguins.csv')


# --- what finished runs keep ---

def test_runs_whose_documents_are_too_long_together_give_way(own_strata):
    s = own_strata(args=['--set', 'pipeline.run_documents=50Ki']).start()
    s.project('studio')
    s.volume('studio', 'data')
    put_file(s, 'studio', 'data', 'digits.csv', b'a\n1\n')
    put(s, 'wordy', {**chain(1), 'params': [{'name': 'a', 'default': ''}]})
    runs = [run(s, 'wordy', params={'a': 'x' * 20000})['id'] for _ in range(4)]
    left = [r['id'] for r in s.api('GET', f'{P}/runs').json()['items']]
    assert left == [runs[3], runs[2], runs[1]]  # of those that had ended, two fit
    assert s.api('GET', f'{P}/runs/{runs[0]}').status_code == 404
    assert 'pipeline.runs_gave_way' in s.log() and 'project=studio runs=1' in s.log()
    assert states(run(s, 'wordy')) == {'n0': 'cached'}  # outputs that a run names stay
    long = run(s, 'wordy', params={'a': 'x' * 60000})
    run(s, 'wordy')
    assert get_run(s, long['id'])['state'] == 'succeeded'  # the newest of those that ended stays


# --- folders ---

def test_a_folder_goes_into_a_volume_and_goes_on_when_it_is_run_again(steps, tmp_path):
    steps.volume('studio', 'albums')
    folder = tmp_path / 'photos'
    (folder / 'a/b').mkdir(parents=True)
    (folder / 'none').mkdir()
    files = {'x.txt': b'x', 'a/b/c.txt': b'c' * 1000, 'a/empty': b'', "a/ü'.txt": b'u'}
    for name, data in files.items():
        (folder / name).write_bytes(data)
        os.utime(folder / name, (1.6e9, 1.6e9))
    (folder / 'out').symlink_to('/etc')
    (folder / 'a/link').symlink_to('b/c.txt')
    os.mkfifo(folder / 'pipe')

    def put_folder(*what, code=0):
        done = steps.cli('data', 'put', *what, '-p', 'studio')
        assert done.returncode == code, done.stderr
        return done

    def held(at='albums/photos'):
        found = steps.cli('data', 'list', at, '-p', 'studio', '--json', check=True)
        return {e['name']: e['size_bytes'] for e in json.loads(found.stdout)}
    first = put_folder(folder, 'albums/')
    assert '4 files sent' in first.stdout and '0 were there already' in first.stdout
    assert 'out: a link, which is not followed' in first.stderr and 'a/link: a link' in first.stderr and 'pipe: neither a file' in first.stderr
    assert set(held()) == {'x.txt', 'a', 'none'} and held('albums/photos/none') == {}
    assert held('albums/photos/a') == {'b': 0, 'empty': 0, "ü'.txt": 1} and held('albums/photos/a/b') == {'c.txt': 1000}
    (folder / 'x.txt').write_bytes(b'y')
    os.utime(folder / 'x.txt', (4e9, 4e9))  # newer than what is there
    (folder / 'new').write_bytes(b'new')
    again = put_folder(f'{folder}/', 'albums')
    assert '2 files sent' in again.stdout and '3 were there already' in again.stdout
    assert steps.api('GET', f'{P}/volumes/albums/files/photos/x.txt').content == b'y'
    put_folder(f'{folder}/.', 'albums/other/')  # its contents alone
    assert held('albums/other') == held()
    (folder / 'new').chmod(0)
    assert put_folder(tmp_path / 'nothing', 'albums/', code=66).stderr.count('nothing') >= 1


def test_a_folder_that_broke_off_within_a_large_file_goes_on_there(steps, tmp_path):
    (tmp_path / 'big').mkdir()
    data = os.urandom(1 << 20) * 24
    (tmp_path / 'big/one').write_bytes(data)
    steps.volume('studio', 'albums')
    env = {'PATH': os.environ['PATH'], 'STRATA_SERVER': steps.url, 'STRATA_TOKEN': steps.token(), 'HOME': '/nonexistent'}
    command = [steps.binary, 'data', 'put', str(tmp_path / 'big'), 'albums/', '-p', 'studio']
    uploads = root_of(steps, 'albums') / '.strata/uploads'

    def sent():
        try:
            return max((f.stat().st_size for f in uploads.glob('*')), default=0)
        except FileNotFoundError:
            return 0

    def break_off():
        """Whether it was soon enough: on a busy machine the file may be there before anybody sees it coming."""
        p = subprocess.Popen(command, env=env)
        wait_for(lambda: sent() > 4 << 20 or p.poll() is not None, 30, 'it is under way')
        p.kill()
        p.wait()
        if not (root_of(steps, 'albums') / 'big/one').exists():
            return True
        assert steps.api('DELETE', f'{P}/volumes/albums/files/big/one').status_code == 204
        return False
    assert any(break_off() for _ in range(20))
    (had,) = (f.stat().st_size for f in uploads.glob('*'))
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (root_of(steps, 'albums') / 'big/one').read_bytes() == data
    assert had > 4 << 20 and '1 files sent' in done.stdout and '24.0 MiB' not in done.stdout, done.stdout
