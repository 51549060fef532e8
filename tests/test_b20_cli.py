"""The command line: for people, for programs, and its mistakes."""
import json
import os
import pathlib
import pty
import re
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


def test_login_signs_in_whoever_has_the_password_and_nobody_else(strata, tmp_path):
    env = {'HOME': str(tmp_path)}
    strata.user('login-a', password='password of a')
    strata.user('login-b', password='password of b')

    def login(user, password, **more):
        return strata.cli('login', '--user', user, '--password-stdin', input=password + '\n', user=None, env={**env, **more})

    def me():
        return json.loads(strata.cli('whoami', '--json', user=None, env=env, check=True).stdout)['name']
    assert login('login-a', 'password of a').returncode == 0 and me() == 'login-a'
    assert login('login-b', 'password of b').returncode == 0 and me() == 'login-b'
    assert login('login-a', 'wrong').returncode == 77 and me() == 'login-b'
    assert login('nobody', 'wrong', STRATA_TOKEN=strata.token()).returncode == 77
    for token in json.loads(strata.cli('token', 'list', '--json', user=None, env=env, check=True).stdout):
        strata.cli('token', 'delete', token['id'], user=None, env=env)
    assert login('login-b', 'password of b').returncode == 0 and me() == 'login-b'


def test_logout_revokes_the_token(strata, tmp_path):
    env = {'HOME': str(tmp_path)}
    strata.user('leaver', password='password of leaver')
    strata.cli('login', '--user', 'leaver', '--password-stdin', input='password of leaver\n', user=None, env=env, check=True)
    kept = json.loads((tmp_path / '.config/strata/credentials.json').read_text())
    token = next(iter(kept['servers'].values()))['token']
    assert strata.api('GET', '/api/v1/me', token=token).status_code == 200
    strata.cli('logout', user=None, env=env, check=True)
    assert strata.api('GET', '/api/v1/me', token=token).status_code == 401


def test_a_token_never_lives_longer_than_it_was_asked_for(strata):
    for wrong in ('0', '0s', 'x', '-1'):
        assert strata.cli('token', 'create', 't', '--expires', wrong).returncode == 65
    made = json.loads(strata.cli('token', 'create', 't', '--expires', 'never', '--json', check=True).stdout)
    assert made['expires_at'] is None


def test_a_user_changes_his_own_password(strata):
    strata.user('changer', password='password of changer')
    change = strata.cli('user', 'password', user='changer', input='wrong\nnew password of changer\n')
    assert change.returncode != 0
    strata.cli('user', 'password', user='changer', input='password of changer\nnew password of changer\n', check=True)
    assert strata.cli('login', '--user', 'changer', '--password-stdin', '--print-token', user=None,
                      input='new password of changer\n').returncode == 0


def at_a_terminal(strata, *args, answers):
    """Runs a command on a terminal of its own and types the answers; (exit code, all that was shown)."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(strata.binary, [strata.binary, *args],
                  {**os.environ, 'STRATA_SERVER': strata.url, 'STRATA_TOKEN': strata.token()})
    shown = b''
    for prompt, answer in answers:
        while prompt not in shown:
            shown += os.read(fd, 4096)
        os.write(fd, answer)
    while True:
        try:
            part = os.read(fd, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def test_passwords_and_secrets_are_not_shown_at_a_terminal(strata):
    strata.project('demo')
    code, shown = at_a_terminal(strata, 'user', 'create', 'typed',
                                answers=[(b'New password: ', b'very secret words\n'), (b'Again: ', b'very secret words\n')])
    assert code == 0 and b'very secret' not in shown, shown
    code, shown = at_a_terminal(strata, 'user', 'password', 'typed',
                                answers=[(b'New password: ', b'one secret words\n'), (b'Again: ', b'two secret words\n')])
    assert code == 65 and b'not the same' in shown
    code, shown = at_a_terminal(strata, 'secret', 'set', 'typed', '-p', 'demo', answers=[(b': ', b'hush\n')])
    assert code == 0 and b'hush' not in shown, shown
    assert strata.cli('secret', 'set', 'none', '-p', 'demo', input='').returncode == 65


def test_a_secret_is_stored_whole_or_not_at_all(strata):
    strata.project('demo')

    def stored(name):
        job = strata.run_job('demo', ['sh', '-c', 'printf %s "$IT" | wc -c'], secrets={'IT': name})
        return int(strata.job_log('demo', job['id']))
    code, shown = at_a_terminal(strata, 'secret', 'set', 'typed-long', '-p', 'demo', answers=[(b': ', b'A' * 2000 + b'\n')])
    assert code == 0 and stored('typed-long') == 2000, shown
    code, shown = at_a_terminal(strata, 'secret', 'set', 'too-long', '-p', 'demo', answers=[(b': ', b'A' * 6000 + b'\n')])
    assert code == 65 and b'< FILE' in shown, shown
    strata.cli('secret', 'set', 'of-a-file', '-p', 'demo', input='B' * 20000, check=True)
    assert stored('of-a-file') == 20000


def test_what_is_gone_for_good_is_asked_for_at_a_terminal(strata):
    strata.volume('demo', 'precious')
    code, shown = at_a_terminal(strata, 'volume', 'delete', 'precious', '-p', 'demo', answers=[(b'Type yes: ', b'no\n')])
    assert code != 0 and b'nothing was deleted' in shown
    code, shown = at_a_terminal(strata, 'volume', 'delete', 'precious', '-p', 'demo', answers=[(b'Type yes: ', b'yes\n')])
    assert code == 0, shown


def test_no_name_reaches_beyond_its_place(strata):
    """Dots in a name go to the server as they are, which refuses them: nothing else is deleted."""
    strata.volume('dots', 'inner')
    strata.volume('dots', 'other')
    strata.project('dots-victim')
    for path in ('inner/../../other', 'inner/../../../../dots-victim', 'inner/./x/../../..', '../other'):
        assert strata.cli('data', 'delete', path, '-r', '-p', 'dots').returncode != 0, path
    assert strata.api('GET', '/api/v1/projects/dots/volumes/other').status_code == 200
    assert strata.api('GET', '/api/v1/projects/dots-victim').status_code == 200


def test_only_what_can_run_is_pushed_as_an_image(strata, tmp_path):
    strata.project('demo')
    text, saved, packed = tmp_path / 'text', tmp_path / 'saved.tar', tmp_path / 'root.tar.gz'
    text.write_text('name: x\n')
    (tmp_path / 'manifest.json').write_text('[]')
    subprocess.run(['tar', '-C', tmp_path, '-cf', saved, 'manifest.json'], check=True)
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin/busybox').write_bytes(pathlib.Path('/bin/busybox').read_bytes())
    (tmp_path / 'bin/busybox').chmod(0o755)
    subprocess.run(['tar', '-C', tmp_path, '-czf', packed, 'bin'], check=True)

    def push(*what):
        return strata.cli('image', 'push', 'demo/pushed:1', *what)
    for refused, why in ((('--tar', text), 'no tar'), (('--tar', '/dev/null'), 'no tar'), (('--tar', saved), 'docker-archive'),
                         (('--program', '/bin/ls'), 'shared libraries'), (('--program', text), 'no 64-bit program')):
        r = push(*refused)
        assert r.returncode == 65 and why in r.stderr, (refused, r.stderr)
    assert push('--tar', packed, '--entrypoint', '/bin/busybox').returncode == 0
    job = strata.submit('demo', {'image': 'demo/pushed:1', 'args': ['echo', 'from a packed tar'],
                                 'resources': {'cpu': '100m', 'memory': '64Mi'}})
    assert strata.wait_job('demo', job['id'])['state'] == 'succeeded'
    assert strata.job_log('demo', job['id']) == 'from a packed tar\n'


def test_images_have_one_name(strata):
    strata.project('demo')
    strata.cli('image', 'push', 'demo/named:1', '--program', '/bin/busybox', check=True)
    for words in (['demo/named'], ['named', '-p', 'demo'], ['demo/named', '-p', 'demo']):
        rows = json.loads(strata.cli('image', 'list', *words, '--json', check=True).stdout)
        assert [r['tag'] for r in rows] == ['1'], words
    strata.cli('image', 'delete', 'demo/named:1', check=True)
    assert json.loads(strata.cli('image', 'list', 'demo/named', '--json', check=True).stdout) == []


def test_a_group_lists_its_commands(strata):
    r = strata.cli('job')
    assert r.returncode == 64 and 'submit, list, show' in r.stderr
    assert strata.cli('help', 'nosuch').returncode == 66
    assert 'job submit' in {v['command'] for v in json.loads(strata.cli('help', '--json', check=True).stdout)}


def test_ctrl_c_leaves_the_job_and_says_so(strata, tmp_path):
    spec = tmp_path / 'job.yaml'
    spec.write_text(json.dumps({'image': strata.busybox, 'command': ['sh', '-c', 'echo begun; sleep 600'], 'grace': '0s',
                                'resources': {'cpu': '100m', 'memory': '32Mi'}}))
    code, shown = at_a_terminal(strata, 'run', str(spec), '-p', 'demo', answers=[(b'begun', b'\x03')])
    job = re.search(rb'j-[a-z0-9]{8}', shown).group().decode()
    assert code == 130 and f'{job} goes on'.encode() in shown and b'strata job cancel' in shown
    assert strata.job('demo', job)['state'] == 'running'
    strata.cli('job', 'cancel', job, '-p', 'demo', check=True)
    strata.wait_job('demo', job)  # the next test may count what runs


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


def test_folders_are_made_and_files_move_within_their_volume(strata, tmp_path):
    strata.volume('demo', 'moving')
    (tmp_path / 'a.txt').write_text('a')
    strata.cli('data', 'put', tmp_path / 'a.txt', 'moving/', '-p', 'demo', check=True)
    strata.cli('data', 'mkdir', 'moving/in/deep', '-p', 'demo', check=True)
    strata.cli('data', 'move', 'moving/a.txt', 'moving/in/b.txt', '-p', 'demo', check=True)
    assert strata.cli('data', 'get', 'moving/in/b.txt', '-', '-p', 'demo', check=True).stdout == 'a'
    strata.cli('data', 'put', tmp_path / 'a.txt', 'moving/', '-p', 'demo', check=True)
    assert strata.cli('data', 'move', 'moving/a.txt', 'moving/in/b.txt', '-p', 'demo').returncode == 73
    strata.cli('data', 'move', 'moving/a.txt', 'moving/in/b.txt', '--replace', '-p', 'demo', check=True)
    assert 'one volume' in strata.cli('data', 'move', 'moving/in/b.txt', 'other/b.txt', '-p', 'demo').stderr
    assert 'names no folder' in strata.cli('data', 'mkdir', 'moving', '-p', 'demo').stderr


def test_users_and_projects_are_changed(strata):
    strata.user('changed')
    strata.project('changing')
    strata.cli('user', 'set', 'changed', '--disabled', 'yes', check=True)
    assert strata.cli('whoami', user='changed').returncode == 77
    strata.cli('user', 'set', 'changed', '--disabled', 'no', '--admin', 'yes', check=True)
    assert json.loads(strata.cli('whoami', '--json', user='changed').stdout)['is_admin'] is True
    strata.cli('project', 'set', 'changing', '--public', 'yes', check=True)
    assert strata.api('GET', '/api/v1/projects/changing', user=None).status_code == 200
    assert 'yes or no' in strata.cli('project', 'set', 'changing', '--public', 'maybe').stderr
    for verb in (['user', 'set', 'changed'], ['project', 'set', 'changing']):
        assert strata.cli(*verb).returncode == 65


def test_an_image_is_shown_and_a_repository_deleted(strata, tmp_path):
    strata.project('demo')
    strata.cli('image', 'push', 'demo/shown:1', '--program', '/bin/busybox', check=True)
    assert 'sha256:' in strata.cli('image', 'show', 'demo/shown:1', check=True).stdout
    manifest = json.loads(strata.cli('image', 'show', 'shown:1', '-p', 'demo', '--json', check=True).stdout)
    assert manifest == strata.api('GET', '/v2/demo/shown/manifests/1').json()
    assert strata.cli('image', 'delete', 'demo/shown:1', '--all').returncode == 65
    strata.cli('image', 'delete', 'demo/shown', '--all', check=True)
    assert strata.cli('image', 'show', 'demo/shown:1').returncode == 66


def test_administrators_see_the_server_from_anywhere(strata):
    assert 'disk space' in strata.cli('server', 'health', check=True).stdout
    assert 'jobs.log_max' in strata.cli('server', 'settings', check=True).stdout
    assert 'secret:write' in strata.cli('role', 'list', check=True).stdout
    strata.user('no-admin')
    assert strata.cli('server', 'health', user='no-admin').returncode == 77
    strata.cli('project', 'create', 'in-the-audit', check=True)
    found = json.loads(strata.cli('audit', '--filter', '/projects', '--since', '2020-01-01T00:00:00Z', '--json', check=True).stdout)
    assert found['items'] and all('/projects' in e['path'] for e in found['items'])
    assert strata.cli('audit', '--until', '2020-01-01T00:00:00Z', check=True).stdout == 'No entries.\n'
    assert strata.cli('audit', '--filter', 'x' * 9000).returncode == 65


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


def test_the_log_of_each_attempt_is_there(strata):
    spec = {'image': strata.busybox, 'command': ['sh', '-c', 'echo attempt $STRATA_ATTEMPT; exit 3'], 'retries': 1,
            'resources': {'cpu': '100m', 'memory': '32Mi'}}
    job = strata.wait_job('demo', strata.submit('demo', spec)['id'])['id']
    assert strata.cli('job', 'logs', job, '--attempt', '1', '-p', 'demo', check=True).stdout == 'attempt 1\n'
    assert strata.cli('job', 'logs', job, '-p', 'demo', check=True).stdout == 'attempt 2\n'
    assert strata.cli('job', 'logs', job, '--attempt', '0', '-p', 'demo').returncode == 65


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
        assert (tmp_path / 'stripped').stat().st_size <= 6 * 1024 * 1024
    assert pathlib.Path(BUILD / 'strata-ml').exists()
