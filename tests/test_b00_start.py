"""Starting, stopping, and what must be refused at start."""
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import time

import requests

from conftest import BUILD, Strata, wait_for


def test_root_gives_admin_a_new_password(own_strata):
    s = own_strata().start()
    old = s.admin_password
    s.cli('user', 'password', 'admin', input='a password that is forgotten\n', check=True)
    s.stop()
    s.args = ['--reset-admin']
    s.start()
    new = s.admin_password
    assert new != old
    assert requests.get(s.url + '/api/v1/users', auth=('admin', new), timeout=30).status_code == 200
    assert requests.get(s.url + '/api/v1/users', auth=('admin', old), timeout=30).status_code == 401
    os.kill(s.pids()['server'], signal.SIGKILL)  # started again, the role does not do it again
    wait_for(lambda: s.log().count('server.ready') == 3, 30, 'the role is started again')
    s.wait_ready()
    assert s.admin_password == new


def test_first_start_writes_the_password_once_and_readable_by_root_only(own_strata):
    s = own_strata().start()
    path = s.state / 'admin.password'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    password = s.admin_password
    assert len(password) >= 16
    assert password not in s.log()
    assert s.stop() == 0
    s.start()
    assert s.admin_password == password
    assert requests.get(s.url + '/api/v1/me', auth=('admin', password), timeout=10).status_code == 200


def test_sigterm_stops_within_ten_seconds(own_strata):
    s = own_strata().start()
    began = time.monotonic()
    assert s.stop() == 0
    assert time.monotonic() - began < 10


def test_system_routes_answer(strata):
    assert requests.get(strata.url + '/healthz', timeout=10).text == 'ok\n'
    assert requests.get(strata.url + '/readyz', timeout=10).status_code == 200
    assert requests.get(strata.url + '/version', timeout=10).json()['version']
    page = requests.get(strata.url + '/', timeout=10)
    assert 'Strata' in page.text and page.headers['Content-Type'].startswith('text/html')
    api = requests.get(strata.url + '/api/v1/openapi.json', timeout=10).json()
    assert api['openapi'].startswith('3.')
    assert '/api/v1/projects/{p}/jobs' in api['paths']
    rows = strata.api('GET', '/api/v1/health').json()['items']
    assert any(r['check'] for r in rows)


def test_every_answer_has_a_request_id(strata):
    seen = {requests.get(strata.url + path, timeout=10).headers['X-Request-Id'] for path in ('/healthz', '/nowhere', '/api/v1/me')}
    assert len(seen) == 3


def test_a_port_in_use_is_named(own_strata):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        s = own_strata()
        s.listen = f'127.0.0.1:{port}'
        s.start(check=False)
        assert s.process.wait(15) == 73
        assert str(port) in s.log()


def test_a_second_server_on_the_same_state_is_refused(own_strata):
    s = own_strata().start()
    other = Strata(s.state)
    other.log_path = s.log_path.with_suffix('.second')
    other.start(check=False)
    assert other.process.wait(15) == 73
    assert str(s.process.pid) in other.log()
    assert requests.get(s.url + '/readyz', timeout=10).status_code == 200


def test_a_directory_of_somebody_else_is_left_alone(own_strata):
    s = own_strata()
    s.state.mkdir(mode=0o755)
    (s.state / 'thesis.txt').write_text('mine')
    s.start(check=False)
    assert s.process.wait(15) == 73
    assert 'thesis.txt' in s.log()
    assert stat.S_IMODE(s.state.stat().st_mode) == 0o755 and not (s.state / 'lock').exists()


def test_state_of_a_newer_version_is_refused_and_untouched(own_strata):
    s = own_strata().start()
    s.stop()
    db = s.state / 'state.db'
    with sqlite3.connect(db) as c:
        columns = [r[1] for r in c.execute('PRAGMA table_info(migrations)')]
        row = dict(zip(columns, c.execute('SELECT * FROM migrations LIMIT 1').fetchone()))
        row['number'] = 999
        c.execute(f'INSERT INTO migrations ({",".join(columns)}) VALUES ({",".join("?" * len(columns))})', [row[k] for k in columns])
    sqlite3.connect(db).execute('PRAGMA wal_checkpoint(TRUNCATE)')
    before = db.read_bytes()
    s.start(check=False)
    assert s.process.wait(15) == 73
    assert 'newer' in s.log()
    assert db.read_bytes() == before


def test_unknown_settings_are_refused_with_the_nearest_name(own_strata):
    s = own_strata()
    s.state.mkdir(parents=True)
    (s.state / 'strata.yaml').write_text('net:\n  lissten: 127.0.0.1:0\n')
    s.start(check=False)
    assert s.process.wait(15) != 0
    assert 'net.lissten' in s.log() and 'net.listen' in s.log() and 'line 2' in s.log()


def test_settings_that_the_server_may_have_written_are_not_read_by_root(own_strata):
    s = own_strata()
    s.state.mkdir(parents=True)
    path = s.state / 'strata.yaml'
    path.write_text('net:\n  listen: 127.0.0.1:0\n')
    shutil.chown(path, 'strata')
    s.start(check=False)
    assert s.process.wait(15) != 0
    assert 'strata.yaml' in s.log() and '--config' in s.log()
    path.unlink()
    os.mkfifo(path)
    s.start(check=False)
    assert s.process.wait(15) != 0, 'a fifo holds nobody up'


def test_the_server_is_not_root_and_can_start_nothing(strata):
    status = pathlib.Path(f'/proc/{strata.pids()["server"]}/status').read_text()
    fields = dict(line.split(':\t', 1) for line in status.splitlines() if ':\t' in line)
    assert '0' not in fields['Uid'].split()
    assert fields['NoNewPrivs'] == '1' and fields['Seccomp'] == '2'
    assert int(fields['CapEff'], 16) & ~(1 << 10) == 0  # CAP_NET_BIND_SERVICE at most


def test_root_owns_what_the_server_must_not_touch(strata):
    for name in ('jobs', 'rootfs', 'volumes'):
        st = (strata.state / name).stat()
        assert st.st_uid == 0 and stat.S_IMODE(st.st_mode) == 0o750
    st = strata.state.stat()
    assert st.st_uid == 0 and st.st_mode & stat.S_ISVTX


def test_a_state_directory_below_folders_of_root_only_works(own_strata, scratch):
    closed = scratch / 'closed'
    closed.mkdir(mode=0o700)
    s = own_strata(state=closed / 'deep' / 'state').start()
    assert s.api('GET', '/api/v1/me').status_code == 200


def test_killed_roles_are_started_again(own_strata):
    s = own_strata().start()
    token = s.token()
    for role in ('server', 'helper', 'server'):
        before = s.pids()
        os.kill(before[role], signal.SIGKILL)
        wait_for(lambda: s.pids().get(role) not in (None, before[role]), 20, f'a new {role}')
        s.wait_ready()
        assert s.api('GET', '/api/v1/me', token=token).status_code == 200


def test_killing_the_supervisor_ends_its_children(own_strata):
    s = own_strata().start()
    pids = s.pids()
    os.kill(pids['up'], signal.SIGKILL)
    s.process.wait(10)
    for role in ('server', 'helper'):
        wait_for(lambda: not pathlib.Path(f'/proc/{pids[role]}').exists(), 15, f'{role} ended')
    s.start()
    assert s.api('GET', '/api/v1/me').status_code == 200


def test_tls_with_certificate_files(own_strata, scratch):
    cert, key = scratch / 'cert.pem', scratch / 'key.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1',
                    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert],
                   check=True, capture_output=True)
    os.chmod(scratch, 0o755)
    key.chmod(0o644)
    s = own_strata(args=['--set', f'net.tls_cert={cert}', '--set', f'net.tls_key={key}'])
    s.start(check=False)
    port = wait_for(lambda: (s.log().split('server.ready port=') + [''])[1].split(' ')[0], 30)
    r = requests.get(f'https://127.0.0.1:{port}/version', verify=str(cert), timeout=10)
    assert r.status_code == 200
    assert s.stop() == 0


def test_doctor_finds_this_host_ready():
    r = subprocess.run([str(BUILD / 'strata'), 'doctor', '--mend', '--json'], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stdout + r.stderr


def test_unprivileged_up_says_what_to_do():
    r = subprocess.run(['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', str(BUILD / 'strata'), 'up'],
                       capture_output=True, text=True, timeout=30)
    assert r.returncode == 77 and 'sudo' in r.stderr
