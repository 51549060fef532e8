"""The command line: for people, for programs, and its mistakes."""
import json
import os
import pathlib
import pty
import subprocess

from conftest import BUILD, ROOT


def test_login_gives_a_token_that_works(strata):
    r = strata.cli('login', '--user', 'admin', '--password-stdin', '--print-token', input=strata.admin_password + '\n', user=None)
    token = r.stdout.strip()
    assert r.returncode == 0 and token.startswith('strata_')
    me = json.loads(strata.cli('whoami', '--json', '--token', token, user=None).stdout)
    assert me['name'] == 'admin'


def test_login_keeps_the_token_for_the_next_command(strata, tmp_path):
    env = {'HOME': str(tmp_path)}
    r = strata.cli('login', '--user', 'admin', '--password-stdin', input=strata.admin_password + '\n', user=None, env=env)
    assert r.returncode == 0, r.stderr
    kept = tmp_path / '.config/strata/credentials.json'
    assert kept.stat().st_mode & 0o777 == 0o600
    assert strata.cli('whoami', user=None, env=env).returncode == 0
    assert strata.cli('logout', user=None, env=env).returncode == 0
    assert strata.cli('whoami', user=None, env=env).returncode == 77


def test_a_wrong_password_is_not_signed_in(strata):
    r = strata.cli('login', '--user', 'nobody', '--password-stdin', '--print-token', input='wrong\n', user=None)
    assert r.returncode == 77 and r.stdout == '' and r.stderr.startswith('strata: ')


def test_every_list_is_a_table_or_json(strata):
    strata.project('demo')
    for verb in (['user', 'list'], ['project', 'list'], ['token', 'list'], ['node', 'list'], ['audit'],
                 ['volume', 'list', '-p', 'demo'], ['job', 'list', '-p', 'demo'], ['image', 'list', '-p', 'demo'],
                 ['secret', 'list', '-p', 'demo'], ['project', 'members', '-p', 'demo']):
        assert strata.cli(*verb).returncode == 0, verb
        json.loads(strata.cli(*verb, '--json', check=True).stdout)


def test_data_goes_up_and_comes_down(strata, tmp_path):
    strata.volume('demo', 'cli')
    strata.cli('data', 'put', ROOT / 'examples/data/digits.csv', 'cli/in/', '-p', 'demo', check=True)
    strata.cli('data', 'get', 'cli/in/digits.csv', tmp_path / 'back.csv', '-p', 'demo', check=True)
    assert (tmp_path / 'back.csv').read_bytes() == (ROOT / 'examples/data/digits.csv').read_bytes()
    rows = json.loads(strata.cli('data', 'list', 'cli/in', '-p', 'demo', '--json', check=True).stdout)
    assert [r['name'] for r in rows] == ['digits.csv']
    strata.cli('data', 'delete', 'cli/in', '-r', '-p', 'demo', check=True)
    assert strata.cli('data', 'get', 'cli/in/digits.csv', '-', '-p', 'demo').returncode == 66


def test_exit_codes_mean_the_same_everywhere(strata):
    assert strata.cli('job', 'show', 'j-none', '-p', 'demo').returncode == 66
    assert strata.cli('project', 'create', 'Bad Name').returncode == 65
    strata.project('demo')
    assert strata.cli('project', 'create', 'demo').returncode == 73
    assert strata.cli('jobb', 'list').returncode == 64
    assert strata.cli('job', 'list', '--limmit', '3').returncode == 64
    assert strata.cli('whoami', '--token', 'strata_wrong', user=None).returncode == 77
    assert strata.cli('whoami', '--server', 'http://127.0.0.1:1').returncode == 69


def test_mistakes_come_with_the_next_step(strata):
    assert "did you mean 'job'" in strata.cli('jbo', 'list').stderr
    assert '--limit' in strata.cli('job', 'list', '--limmit', '3').stderr
    assert 'strata up' in strata.cli('whoami', '--server', 'http://127.0.0.1:1').stderr
    assert '-p NAME' in strata.cli('job', 'list').stderr
    error = json.loads(strata.cli('job', 'show', 'j-none', '-p', 'demo', '--json').stderr)
    assert error['error']['kind'] == 'not_found'


def test_run_ends_with_the_exit_code_of_the_job(strata, tmp_path):
    for command, code in ((['true'], 0), (['sh', '-c', 'echo hello; exit 42'], 42), (['sh', '-c', 'sh -c "kill -TERM \\$\\$"; exit $?'], 143)):
        spec = tmp_path / 'job.yaml'
        spec.write_text(json.dumps({'project': 'demo', 'image': strata.busybox, 'command': command, 'resources': {'cpu': '100m', 'memory': '32Mi'}}))
        r = strata.cli('run', '-f', spec)
        assert r.returncode == code, r.stdout + r.stderr
        assert ('hello' in r.stdout) == (code == 42)


def test_run_takes_the_spec_from_standard_input_and_answers_in_json(strata):
    spec = json.dumps({'image': strata.busybox, 'command': ['echo', 'hi'], 'resources': {'cpu': '100m', 'memory': '32Mi'}})
    r = strata.cli('run', '-f', '-', '-p', 'demo', '--json', input=spec)
    assert r.returncode == 0, r.stderr
    assert json.loads(r.stdout)['state'] == 'succeeded'


def test_a_log_goes_on_over_retries_from_any_offset(strata):
    spec = {'image': strata.busybox, 'command': ['sh', '-c', 'echo attempt $STRATA_ATTEMPT; exit 3'], 'retries': 2}
    r = strata.cli('run', '-p', 'demo', '-f', '-', '--json', input=json.dumps(spec))
    job = json.loads(r.stdout)  # and nothing of the log of later attempts
    assert (r.returncode, job['attempt']) == (3, 3)
    whole = 'attempt 1\nattempt 2\nattempt 3\n'
    for offset in (0, 4, 10, 15, 25, 30):
        r = strata.api('GET', f'/api/v1/projects/demo/jobs/{job["id"]}/log?follow=1&attempt=1&offset={offset}')
        assert r.text == whole[offset:]
    assert strata.cli('job', 'wait', job['id'], '-p', 'demo').stdout == ''
    assert strata.cli('job', 'logs', '-f', job['id'], '-p', 'demo').stdout == 'attempt 3\n'


def test_a_server_is_known_by_any_of_its_names(strata, tmp_path):
    env = {'HOME': str(tmp_path), 'STRATA_SERVER': ''}
    name = strata.url.removeprefix('http://') + '/'
    r = strata.cli('login', '--server', name, '--user', 'admin', '--password-stdin', input=strata.admin_password + '\n', user=None, env=env)
    assert r.returncode == 0, r.stderr
    assert strata.cli('whoami', '--server', name, user=None, env=env).stdout.startswith('admin')


def test_help_man_and_completion_know_every_verb():
    strata = str(BUILD / 'strata')
    verbs = [l.split('|')[0] for l in subprocess.run([strata, 'completion', 'bash'], capture_output=True, text=True).stdout.splitlines() if '|--' in l]
    assert len(verbs) > 30
    text = subprocess.run([strata, 'help'], capture_output=True, text=True).stdout
    man = subprocess.run([strata, 'man'], capture_output=True, text=True).stdout
    for verb in verbs:
        assert verb in text and f'.SS strata {verb}' in man
        assert subprocess.run([strata, *verb.split(), '--help'], capture_output=True).returncode == 0
    script = subprocess.run([strata, 'completion', 'bash'], capture_output=True, text=True).stdout
    script += 'COMP_WORDS=(strata job sh); COMP_CWORD=2; _strata; echo "${COMPREPLY[@]}"\n'
    assert subprocess.run(['bash', '-c', script], capture_output=True, text=True).stdout.split() == ['show']


def test_a_terminal_gets_a_progress_bar(strata, tmp_path):
    strata.volume('demo', 'bar')
    big = tmp_path / 'big.bin'
    big.write_bytes(os.urandom(1 << 22))
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(strata.binary, ['strata', 'data', 'put', str(big), 'bar/', '-p', 'demo'],
                  {'STRATA_SERVER': strata.url, 'STRATA_TOKEN': strata.token(), 'HOME': str(tmp_path), 'TERM': 'xterm'})
    out = b''
    try:
        while part := os.read(fd, 65536):
            out += part
    except OSError:
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert '100%' in out.decode() and '█' in out.decode()


def test_tables_show_control_bytes_instead_of_obeying_them(strata):
    strata.volume('demo', 'hostile')
    name = '\x1b[31mred\x07.txt'
    r = strata.api('PUT', '/api/v1/projects/demo/volumes/hostile/files/' + requests_quote(name), data=b'x')
    assert r.status_code == 201, r.text
    out = strata.cli('data', 'list', 'hostile', '-p', 'demo', check=True).stdout
    assert '\x1b' not in out and '\x07' not in out and 'red' in out


def requests_quote(name):
    import urllib.parse
    return urllib.parse.quote(name, safe='')


def test_config_prints_every_setting(tmp_path):
    text = subprocess.run([str(BUILD / 'strata'), 'config', '--state', str(tmp_path)], capture_output=True, text=True).stdout
    assert 'listen: 127.0.0.1:8080' in text
    (tmp_path / 'strata.yaml').write_text(text)
    assert subprocess.run([str(BUILD / 'strata'), 'config', '--state', str(tmp_path)], capture_output=True).returncode == 0


def test_the_binary_is_small(tmp_path):
    subprocess.run(['strip', '-o', tmp_path / 'stripped', BUILD / 'strata'], check=True)  # a pipe it cannot seek in
    if 'asan' not in str(BUILD):
        assert (tmp_path / 'stripped').stat().st_size <= 4 * 1024 * 1024
    assert pathlib.Path(BUILD / 'strata-ml').exists()
