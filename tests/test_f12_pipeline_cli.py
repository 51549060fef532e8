"""The command line of Studio: what a run did and why, two runs side by side, logs, tries again, clocks, files out and in, own modules tried and judged."""
import concurrent.futures
import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import threading
import urllib.parse

import pytest

from conftest import ROOT, wait_for
from test_f10_pipelines import COMPONENT, DIGITS, chain, end, get_run, put, put_file, run, start, states, studio  # noqa: F401

P = ('-p', 'studio')


@pytest.fixture(scope='module')
def two(studio):
    """Two runs of one pipeline that differ in a parameter."""
    put(studio, 'told', DIGITS)
    return [run(studio, 'told', params={'epochs': n}) for n in (3, 4)]


def test_a_run_is_shown_with_why_and_what_came_out(studio, two):
    told = studio.cli('pipeline', 'show', two[1]['id'], *P, check=True).stdout
    assert re.search(r'pipeline +told\n', told) and re.search(r'params +epochs=4\n', told)
    rows = {line.split()[0]: line for line in told.splitlines() if line}
    assert 'cached' in rows['read'] and re.search(r'as run \d+', rows['read'])
    assert 'parameter epochs changed from 3 to 4' in rows['learn']
    assert 'accuracy 0.' in rows['judge'] and 'evaluate_multiclass' in rows['judge']
    table = two[1]['nodes']['read']['outputs']['table']
    assert table['sha256'] in rows['read.table'] and '1797' in rows['read.table']
    assert json.loads(studio.cli('pipeline', 'show', two[1]['id'], '--json', *P, check=True).stdout) == get_run(studio, two[1]['id'])
    assert studio.cli('pipeline', 'show', '999999999', *P).returncode == 66


def test_two_runs_side_by_side(studio, two):
    a, b = (str(r['id']) for r in two)
    told = studio.cli('pipeline', 'compare', a, b, *P, check=True).stdout
    assert re.search(r'param epochs +3 +4 +\*', told) and re.search(r'judge accuracy +0\.\d+ +0\.\d+', told)
    assert re.search(r'split state +\w+ +cached', told)
    assert json.loads(studio.cli('pipeline', 'compare', a, b, '--json', *P).stdout)['params'] == {'epochs': {'a': '3', 'b': '4'}}


def test_the_log_of_a_node(studio, two):
    log = studio.cli('pipeline', 'logs', two[1]['id'], 'learn', *P, check=True).stdout
    assert 'mlp:' in log and '{"t":' not in log and studio.cli('pipeline', 'logs', two[1]['id'], 'learn', '-f', *P, check=True).stdout == log
    spared = studio.cli('pipeline', 'logs', two[1]['id'], 'read', *P)
    assert spared.returncode == 66 and 'cached' in spared.stderr
    assert 'no node' in studio.cli('pipeline', 'logs', two[1]['id'], 'nobody', *P).stderr


def test_what_changes_comes_as_lines_of_json(studio):
    put(studio, 'lines', chain(3))
    out = studio.cli('pipeline', 'run', 'lines', '--events', '--no-cache', *P, check=True).stdout
    events = [json.loads(line) for line in out.splitlines()]
    assert events[0]['event'] == 'run' and events[-1]['run']['state'] == 'succeeded'
    assert {e['node']['node'] for e in events if e['event'] == 'node'} == {'n0', 'n1', 'n2'}


def test_what_fails_says_what_mends_it_and_is_tried_again(studio):
    put_file(studio, 'studio', 'data', 'torn.csv', b'a,b\n' + b'1,2\n' * 50000 + b'3,4,5\n')
    put(studio, 'torn', {'pipeline': 1, 'nodes': {'read': {'module': 'read_csv', 'params': {'path': 'data:torn.csv'}},
                                                  'split': {'module': 'split', 'inputs': {'table': 'read.table'}}}})
    bad = studio.cli('pipeline', 'run', 'torn', *P)
    number = re.search(r'run (\d+) failed', bad.stderr).group(1)
    assert bad.returncode == 1 and f'strata pipeline retry {number} -p studio' in bad.stderr
    assert f'strata pipeline logs {number} read -p studio' in bad.stderr
    assert 'line 50002' in studio.cli('pipeline', 'show', number, *P).stderr
    put_file(studio, 'studio', 'data', 'torn.csv', b'a,b\n1,2\n3,4\n5,6\n')
    again = studio.cli('pipeline', 'retry', number, *P)
    assert again.returncode == 0 and f'run {number} succeeded' in again.stderr, again.stderr
    assert studio.cli('pipeline', 'retry', number, *P).returncode == 73


def test_a_run_is_left_alone_and_stopped(studio):
    put(studio, 'endless', DIGITS.replace('layers: "256"', 'layers: "254"'))
    number = studio.cli('pipeline', 'run', 'endless', '--param', 'epochs=100000', '--detach', *P, check=True).stdout.strip()
    wait_for(lambda: get_run(studio, number)['nodes']['learn']['done'] > 0, 60, 'it learns')
    assert 'being stopped' in studio.cli('pipeline', 'cancel', number, *P, check=True).stdout
    assert end(studio, number)['state'] == 'cancelled'


def test_a_cancelled_run_ends_with_130(studio):
    put(studio, 'stopped', DIGITS.replace('layers: "256"', 'layers: "253"'))
    env = {'PATH': os.environ['PATH'], 'STRATA_SERVER': studio.url, 'STRATA_TOKEN': studio.token(), 'HOME': '/nonexistent'}
    p = subprocess.Popen([studio.binary, 'pipeline', 'run', 'stopped', '--param', 'epochs=100000', '--events', *P], env=env, stdout=subprocess.PIPE, text=True)
    for line in p.stdout:
        e = json.loads(line)
        if e['event'] == 'node' and e['node']['node'] == 'learn' and e['node']['value']['state'] == 'running':
            break
    number = studio.api('GET', '/api/v1/projects/studio/runs', params={'pipeline': 'stopped'}).json()['items'][0]['id']
    studio.cli('pipeline', 'cancel', number, *P, check=True)
    p.stdout.read()
    assert p.wait(60) == 130


def test_a_server_that_dies_meanwhile_is_only_a_pause(own_strata):
    s = own_strata().start()
    s.volume('studio', 'data')
    put_file(s, 'studio', 'data', 'digits.csv', (ROOT / 'examples/data/digits.csv').read_bytes())
    put(s, 'steps', chain(12))
    env = {'PATH': os.environ['PATH'], 'STRATA_SERVER': s.url, 'STRATA_TOKEN': s.token(), 'HOME': '/nonexistent'}
    p = subprocess.Popen([s.binary, 'pipeline', 'run', 'steps', *P], env=env, stderr=subprocess.PIPE, text=True)
    assert p.stderr.readline().startswith('n0 ')
    os.kill(s.pids()['server'], signal.SIGKILL)
    told = p.stderr.read()
    assert p.wait(60) == 0 and [line.split()[0] for line in told.splitlines()] == [f'n{i}' for i in range(1, 12)] + ['run'], told


class Cutting:
    """A way to the server that cuts the first two connections on which a question stands, before its answer: curl tries once more by itself."""

    def __init__(self, url, question):
        self.server, self.question, self.cut = urllib.parse.urlparse(url), question, 0
        self.listening = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self.listening.getsockname()[1]}'
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        while True:
            client = self.listening.accept()[0]
            server = socket.create_connection((self.server.hostname, self.server.port))
            threading.Thread(target=self.pass_on, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.pass_on, args=(server, client, False), daemon=True).start()

    def pass_on(self, source, target, asks):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if asks and self.cut < 2 and re.match(self.question, data):
                    self.cut += 1
                    break
                target.sendall(data)
        for s in (source, target):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize('options', [[], ['--logs'], ['--events']], ids=['bars', 'logs', 'events'])
def test_a_connection_cut_at_the_last_question_is_only_a_pause(studio, options):
    """The run is over, and the server goes away before it has told what came of it."""
    put(studio, 'cut', chain(2))
    way = Cutting(studio.url, rb'GET /api/v1/projects/studio/runs/\d+ HTTP')
    env = {'PATH': os.environ['PATH'], 'STRATA_SERVER': way.url, 'STRATA_TOKEN': studio.token(), 'HOME': '/nonexistent'}
    r = subprocess.run([studio.binary, 'pipeline', 'run', 'cut', *options, *P], env=env, capture_output=True, text=True, timeout=120)
    assert r.returncode == 0 and way.cut == 2, r.stderr


def test_what_the_steps_say_comes_line_by_line(studio):
    put(studio, 'saying', DIGITS)
    out = studio.cli('pipeline', 'run', 'saying', '--param', 'epochs=3', '--no-cache', '--logs', *P, check=True).stderr
    assert re.search(r'^learn \| strata-ml: mlp: ', out, re.M) or re.search(r'^learn \| .*mlp', out, re.M), out
    assert '{"t":' not in out and re.search(r'^judge +succeeded', out, re.M)


def test_a_terminal_shows_a_bar_for_each_node_that_runs(studio):
    put(studio, 'bars', DIGITS)
    master, slave = pty.openpty()
    env = {'PATH': os.environ['PATH'], 'STRATA_SERVER': studio.url, 'STRATA_TOKEN': studio.token(), 'HOME': '/nonexistent', 'TERM': 'xterm'}
    p = subprocess.Popen([studio.binary, 'pipeline', 'run', 'bars', '--param', 'epochs=600', '--no-cache', *P], env=env, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = b''
    while True:
        if select.select([master], [], [], 60)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
    assert p.wait(60) == 0
    text = seen.decode()
    assert re.search(r'learn +[█░]{30} +\d+%', text) and re.search(r'\d+ more run, \d+ wait', text), text
    assert re.search(r'judge +succeeded .*accuracy', text) and re.search(r'run \d+ succeeded', text)


def test_a_pipeline_goes_by_the_clock_from_the_command_line(studio):
    put(studio, 'clocked', {**chain(1), 'params': [{'name': 'n', 'default': ''}]})
    assert 'does not run by the clock' in studio.cli('pipeline', 'schedule', 'show', 'clocked', *P, check=True).stdout
    wrong = studio.cli('pipeline', 'schedule', 'set', 'clocked', 'x', *P)
    assert wrong.returncode == 65
    studio.cli('pipeline', 'schedule', 'set', 'clocked', '0 3 * * 1-5', '--timezone', 'Asia/Taipei', '--param', 'n=a b', *P, check=True)
    told = studio.cli('pipeline', 'schedule', 'show', 'clocked', *P, check=True).stdout
    assert re.search(r'cron +0 3 \* \* 1-5\n', told) and re.search(r'timezone +Asia/Taipei\n', told) and 'n=a b' in told and re.search('state +on', told)
    studio.cli('pipeline', 'schedule', 'set', 'clocked', '@daily', '--disabled', *P, check=True)
    kept = json.loads(studio.cli('pipeline', 'schedule', 'show', 'clocked', '--json', *P, check=True).stdout)
    assert kept == {'cron': '@daily', 'timezone': 'UTC', 'params': {}, 'enabled': False, 'by': 'admin'}
    studio.cli('pipeline', 'schedule', 'remove', 'clocked', *P, check=True)
    assert studio.api('GET', '/api/v1/projects/studio/pipelines/clocked').json()['schedule'] is None


def test_files_go_out_and_come_back_as_the_same_version(studio, tmp_path):
    put(studio, 'out', DIGITS)
    text = studio.cli('pipeline', 'export', 'out', *P, check=True).stdout
    (tmp_path / 'x.yaml').write_text(text)
    assert 'version 1' in studio.cli('pipeline', 'import', 'out', tmp_path / 'x.yaml', *P, check=True).stdout
    assert 'version 2' in studio.cli('pipeline', 'put', 'out', '-', input=text.replace('fraction: 0.8', 'fraction: 0.7'), *P, check=True).stdout
    versions = studio.cli('pipeline', 'versions', 'out', *P, check=True).stdout.splitlines()
    assert [line.split()[0] for line in versions] == ['VERSION', '2', '1'] and 'admin' in versions[1]
    nameless = studio.cli('pipeline', 'run', '-', input=text, *P)
    assert nameless.returncode == 65 and '--name' in nameless.stderr


# --- modules of a project ---

def test_a_module_is_brought_tried_and_taken_away(studio, tmp_path):
    (tmp_path / 'count.yaml').write_text(COMPONENT % studio.busybox)
    assert 'module test count-cli' in studio.cli('module', 'add', 'count-cli', tmp_path / 'count.yaml', *P, check=True).stdout
    assert 'count-cli' in studio.cli('module', 'list', *P, check=True).stdout
    assert studio.cli('module', 'show', 'count-cli', *P, check=True).stdout == COMPONENT % studio.busybox
    assert 'input  train_data: file' in studio.cli('module', 'describe', 'count-cli', *P, check=True).stdout
    (tmp_path / 'mine.csv').write_text('a,b\n1,2\n3,4\n')
    tried = json.loads(studio.cli('module', 'test', 'count-cli', '--in', f'train_data={tmp_path}/mine.csv', '--param', 'factor=2', '--json', *P, check=True).stdout)
    assert {v['what'] for v in tried} == {'words', 'run', 'output', 'again'} and all(v['ok'] for v in tried)
    assert studio.api('GET', '/api/v1/projects/studio/pipelines', params={'q': 'test-count-cli'}).json()['items'] == []
    (tmp_path / 'bad.yaml').write_text((COMPONENT % studio.busybox).replace('image: ', 'imag: '))
    refused = studio.cli('module', 'add', 'count-cli', tmp_path / 'bad.yaml', *P)
    assert refused.returncode == 65 and 'implementation.container' in refused.stderr
    assert studio.cli('module', 'remove', 'count-cli', '--yes', *P).returncode == 0
    assert studio.cli('module', 'show', 'count-cli', *P).returncode == 66


def test_a_module_that_lies_is_judged_as_wrong(studio, tmp_path):
    (tmp_path / 'lies.yaml').write_text(f"""
outputs: [{{name: out}}]
implementation: {{container: {{image: {studio.busybox}, command: [sh, -c, 'true', {{outputPath: out}}]}}}}
""")
    studio.cli('module', 'add', 'lies', tmp_path / 'lies.yaml', *P, check=True)
    r = studio.cli('module', 'test', 'lies', *P)
    assert r.returncode == 1 and re.search(r'^WRONG run +failed', r.stdout, re.M) and 'its output out is no file' in r.stderr, r.stderr
    studio.cli('module', 'delete', 'lies', '--yes', *P, check=True)


def test_every_built_in_module_does_what_it_foretold_and_does_it_again(studio):
    """In a container, on the sample; what the sample cannot be for (a Parquet file) says that its words lack something."""
    names = [m['name'] for m in json.loads(studio.cli('module', 'list', '--json', check=True).stdout)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        tried = dict(zip(names, pool.map(lambda name: studio.cli('module', 'test', name, *P), names)))
    wrong = {name: r.stdout + r.stderr for name, r in tried.items() if r.returncode != 0 and 'WRONG words' not in r.stdout}
    assert not wrong, '\n'.join(wrong.values())
    good = [name for name, r in tried.items() if r.returncode == 0]
    assert len(good) >= 50 and {'split', 'predict', 'apply_transform', 'sql', 'evaluate_binary'} <= set(good), sorted(set(names) - set(good))
    for name in ('split', 'sql', 'kmeans'):
        assert re.search('^ok +columns', tried[name].stdout, re.M) and 'the same bytes' in tried[name].stdout, tried[name].stdout


def test_a_module_on_words_that_do_not_fit_says_so(studio):
    r = studio.cli('module', 'test', 'split', '--param', 'fraction=7', *P)
    assert r.returncode == 1 and 'WRONG words' in r.stdout and 'tried fraction' in r.stderr
    assert studio.cli('module', 'test', 'split', '--in', 'tabel=x.csv', *P).returncode == 65
    assert studio.cli('module', 'test', 'split').returncode == 65


def test_who_errs_is_told_what_is_near(studio):
    assert studio.cli('pipeline', '--help').stdout == studio.cli('help', 'pipeline').stdout != ''
    assert 'Run a pipeline and follow it' in studio.cli('pipeline', 'run', '-h').stdout
    assert "did you mean 'compare'" in studio.cli('pipeline', 'compair', '1', '2').stderr
    assert "did you mean 'split'" in studio.cli('module', 'describe', 'splitt').stderr
    assert 'needs one of: list, get' in studio.cli('pipeline').stderr
