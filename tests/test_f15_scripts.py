"""python_script: a program of the user on an image of the user's is a step like any other, and one that lies fails."""
import json
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import tarfile

import pytest

from conftest import BUILD, ROOT
from test_f10_pipelines import check, put, put_file, run, states

PYTHON = f'/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}'
LEFT_OUT = re.compile(r'/(test|tests|idlelib|tkinter|lib2to3|ensurepip|__pycache__|dist-packages)(/|$)|config-3')


def libraries(binary):
    return set(re.findall(r'(/\S+\.so\S*)', subprocess.run(['ldd', binary], capture_output=True, text=True, check=True).stdout))


def make_python_tar(path, with_library=True):
    """A root file system: Debian's python3 with its library, and nothing else."""
    lib = pathlib.Path(sysconfig.get_paths()['stdlib'])
    needed = libraries(PYTHON)
    for module in ('_json', '_csv', '_datetime', '_struct', 'math'):
        for so in lib.glob(f'lib-dynload/{module}.*.so'):
            needed |= libraries(so)
    with tarfile.open(path, 'w') as tar:
        for source in sorted(needed):
            tar.add(os.path.realpath(source), source.lstrip('/'))
        tar.add(PYTHON, 'usr/bin/python3')
        if with_library:
            tar.add(lib, str(lib).lstrip('/'), filter=lambda i: None if LEFT_OUT.search('/' + i.name) else i)
        for name in ('tmp', 'etc'):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(info)


@pytest.fixture(scope='module')
def scripts(strata, scratch):
    strata.project('scripts')
    strata.volume('scripts', 'data')
    put_file(strata, 'scripts', 'data', 'people.csv', 'name,age,born,member\nÄnne,30,1994-02-28,true\n"Bob, jr",,,false\n,7,2017-01-01,\n'.encode())
    tar = scratch / 'python.tar'
    make_python_tar(tar)
    strata.cli('image', 'push', 'scripts/python:3', '--tar', tar, '--cmd', '/usr/bin/python3', check=True)
    tar.unlink()
    return strata


def of(code, then=None, inputs=True, **params):
    nodes = {'read': {'module': 'read_csv', 'params': {'path': 'data:people.csv'}},
             'script': {'module': 'python_script', 'params': {'image': 'scripts/python:3', 'code': code, 'memory': '256Mi', **params}, **({'inputs': {'in1': 'read.table'}} if inputs else {})}}
    if then:
        nodes['then'] = then
    return {'pipeline': 1, 'nodes': nodes}


def go(strata, document, name='script', **body):
    r = put(strata, name, document, project='scripts')
    assert r.status_code in (200, 201), r.text
    return run(strata, name, project='scripts', **body)


def get(strata, done, port, node='script', more=''):
    r = strata.api('GET', f'/api/v1/projects/scripts/runs/{done["id"]}/nodes/{node}/outputs/{port}{more}')
    assert r.status_code == 200, r.text
    return r


def error_of(done, node='script'):
    assert done['state'] == 'failed' and done['nodes'][node]['state'] == 'failed', json.dumps(done['nodes'], indent=1)
    return done['nodes'][node]['error']['message']


BOTH = '''
import datetime
rows = inputs['in1']
assert rows[0] == {'name': 'Änne', 'age': 30, 'born': datetime.date(1994, 2, 28), 'member': True}, rows[0]
assert rows[1] == {'name': 'Bob, jr', 'age': None, 'born': None, 'member': False}, rows[1]
for row in rows:
    row['next'] = None if row['age'] is None else row['age'] + 1
    row['half'] = row['age'] / 2 if row['age'] else None
    row['zip'] = '007'
outputs['table'] = rows
outputs['report'] = {'rows': len(rows)}
outputs['file'] = b'\\x00bytes'
print('said by the script')
'''


def test_a_script_reads_tables_and_makes_them(scripts):
    then = {'module': 'sort', 'params': {'by': 'next'}, 'inputs': {'table': 'script.table'}}
    done = go(scripts, of(BOTH, then=then))
    assert done['state'] == 'succeeded', json.dumps(done['nodes'], indent=1)
    told = get(scripts, done, 'table', more='/preview').json()
    assert [(c['name'], c['type']) for c in told['columns']] == [('name', 'text'), ('age', 'int'), ('born', 'date'), ('member', 'bool'), ('next', 'int'), ('half', 'real'), ('zip', 'text')]
    assert told['head'] == [['Änne', 30, '1994-02-28', True, 31, 15, '007'], ['Bob, jr', None, None, False, None, None, '007'], [None, 7, '2017-01-01', None, 8, 3.5, '007']]
    assert done['nodes']['script']['outputs']['table']['rows'] == 3
    assert get(scripts, done, 'report').json() == {'rows': 3} and get(scripts, done, 'file').content == b'\x00bytes'
    assert 'said by the script' in scripts.api('GET', f'/api/v1/projects/scripts/runs/{done["id"]}/nodes/script/log').text
    assert states(go(scripts, of(BOTH, then=then))) == {'read': 'cached', 'script': 'cached', 'then': 'cached'}
    changed = go(scripts, of(BOTH + '\n# changed', then=then))
    assert changed['nodes']['script']['cache']['why'].startswith('parameter code changed') and states(changed)['then'] == 'cached'


def test_an_error_of_a_script_is_told_with_its_line(scripts):
    done = go(scripts, of('a = 1\n\ndef f():\n    return a / 0\n\nf()\n'))
    assert error_of(done) == 'line 4: ZeroDivisionError: division by zero' and done['nodes']['script']['error']['kind'] == 'data'
    log = scripts.api('GET', f'/api/v1/projects/scripts/runs/{done["id"]}/nodes/script/log').text
    assert 'File "script.py", line 6, in <module>' in log and 'return a / 0' in log and 'exec(' not in log
    assert error_of(go(scripts, of('a = 1\nb = = 2\n'))) == 'line 2: SyntaxError: invalid syntax'
    assert error_of(go(scripts, of("inputs['in2']"))) == "line 1: KeyError: 'in2 is not connected; there are: in1'"
    assert 'ended itself: bye' in error_of(go(scripts, of('import sys; sys.exit("bye")')))
    assert "there are table, file and report" in error_of(go(scripts, of("outputs['tabel'] = []")))
    assert 'DataFrame' in error_of(go(scripts, of("outputs['table'] = [1]")))


@pytest.mark.parametrize('code,wanted', [
    ('pass', 'did not make its output table'),
    ("import os; os.symlink('/etc/passwd', '/out/table.arrow')", 'its output table is no file'),
    ("import os; os.mkdir('/out/table.arrow')", 'its output table is no file'),
    ("import os; os.mkfifo('/out/table.arrow')", 'its output table is no file'),
    ("open('/out/table.arrow', 'w').write('a,b\\n1,2\\n')", 'its output table is not what it says: it is no Arrow file'),
    ("open('/out/table.arrow', 'wb').write(b'ARROW1\\0\\0' + b'\\xff' * 5000 + b'ARROW1')", 'its output table is not what it says: it is no Arrow file'),
    ("open('/out/table.arrow', 'w')", 'its output table is not what it says: it is no Arrow file'),
    ("open('/tmp/x', 'w').write('no arrow'); outputs['table'] = '/tmp/x'", '/tmp/x'),
    ("outputs['table'] = '/etc/none'", '/etc/none'),
], ids=['nothing', 'link', 'directory', 'fifo', 'csv', 'damaged', 'empty', 'given-no-arrow', 'given-nothing'])
def test_a_script_that_lies_about_its_table_fails(scripts, code, wanted):
    done = go(scripts, of(code, then={'module': 'sort', 'params': {'by': 'a'}, 'inputs': {'table': 'script.table'}}), name='liar')
    assert wanted in error_of(done) and states(done)['then'] == 'skipped'


def test_a_script_keeps_what_it_promises(scripts):
    good = "outputs['table'] = [{'a': 1, 'b': 0.5, 'c': 'x'}]"
    then = {'module': 'sort', 'params': {'by': 'b'}, 'inputs': {'table': 'script.table'}}
    assert go(scripts, of(good, then=then, columns='a:int, b:real, c:text'))['state'] == 'succeeded'
    for columns, wanted in (('a:int,b:real', 'it has 3 columns, and the step promises 2'), ('a:int,b:real,d:text', "its column 3 is 'c', and the step promises 'd'"),
                            ('a:int,b:text,c:text', "its column 'b' is real, and the step promises text")):
        assert wanted in error_of(go(scripts, of(good, columns=columns)))
    told = check(scripts, of(good, then={**then, 'params': {'by': 'bb'}}, columns='a:int,b:real,c:text'), project='scripts')
    assert "'bb'" in told['mistakes'][0]['message'] and told['nodes']['script']['outputs']['table']['columns'][1] == {'name': 'b', 'type': 'real'}
    assert 'is no column' in check(scripts, of(good, columns='a:number'), project='scripts')['mistakes'][0]['message']


def test_what_a_script_leaves_out_is_missed_only_where_it_is_needed(scripts):
    only = "outputs['report'] = {'x': 1}"
    done = go(scripts, of(only), name='some')
    assert done['state'] == 'succeeded' and list(done['nodes']['script']['outputs']) == ['report']
    assert states(go(scripts, of(only), name='some'))['script'] == 'cached'
    needed = go(scripts, of(only, then={'module': 'sort', 'params': {'by': 'a'}, 'inputs': {'table': 'script.table'}}), name='some')
    assert 'did not make its output table, which a step behind it needs' in error_of(needed)


def test_a_script_has_no_network_and_needs_python(scripts):
    code = "import socket\ntry:\n    socket.create_connection(('127.0.0.1', %d), 2)\n    outputs['report'] = 'reached'\nexcept OSError as e:\n    outputs['report'] = str(e)\n" % scripts.port
    done = go(scripts, of(code))
    assert done['state'] == 'succeeded' and 'reached' not in get(scripts, done, 'report').text
    scripts.busybox
    assert 'python3' in error_of(go(scripts, of('pass', image='demo/busybox:1')))
    r = put(scripts, 'none', of('pass', image='scripts/none:1'), project='scripts')
    assert r.status_code in (200, 201)
    r = scripts.api('POST', '/api/v1/projects/scripts/pipelines/none/runs', json={})
    assert r.status_code in (400, 404) and 'none' in r.json()['error']['message']


def test_a_python_that_cannot_start_says_why(scripts, scratch):
    tar = scratch / 'bare.tar'
    make_python_tar(tar, with_library=False)
    scripts.cli('image', 'push', 'scripts/bare:3', '--tar', tar, '--cmd', '/usr/bin/python3', check=True)
    tar.unlink()
    done = go(scripts, of('pass', image='scripts/bare:3'), name='bare')
    said = error_of(done)
    assert said.startswith("the image's Python cannot start: init_fs_encoding: ") and "No module named 'encodings'" in said
    assert said.endswith('take an image in which python3 -c pass works')


def test_a_container_that_says_table_makes_an_arrow_file(scripts):
    text = f'''
outputs: [{{name: out, type: table}}]
implementation: {{container: {{image: {scripts.busybox}, command: [sh, -c, 'echo a,b > "$0"', {{outputPath: out}}]}}}}
'''
    r = scripts.api('PUT', '/api/v1/projects/scripts/modules/teller', data=text.encode(), headers={'Content-Type': 'application/yaml'})
    assert r.status_code == 200, r.text
    done = go(scripts, {'pipeline': 1, 'nodes': {'a': {'module': 'teller'}}}, name='teller')
    assert 'its output out is not what it says: it is no Arrow file' in error_of(done, 'a')
    model = text.replace('type: table', 'type: model')
    assert scripts.api('PUT', '/api/v1/projects/scripts/modules/teller', data=model.encode(), headers={'Content-Type': 'application/yaml'}).status_code == 200
    done = go(scripts, {'pipeline': 1, 'nodes': {'a': {'module': 'teller'}}}, name='teller')
    assert 'it is no model file of strata-ml' in error_of(done, 'a')


PANDAS = '''
f = inputs['in1']
assert list(f.dtypes.astype(str)) == ['object', 'float64', 'datetime64[ns]', 'object'], f.dtypes
assert f.name[2] is None and f.age.isna().tolist() == [False, True, False]
f['next'], f['day'], f['zip'], f['i'] = f.age + 1, [x.date() if x == x else None for x in f.born], ['007', '1', None], [1, 2, 3]
outputs['table'] = f
'''


def test_with_pandas_tables_are_dataframes(tmp_path):
    """The same program outside of a container, since an image with pandas is large. pyarrow, which Debian 12 does not have, is not tested."""
    lines = re.findall(r'^    "(.*)\\n"', (ROOT / 'src/studio/pipeline/script_program.c').read_text(), re.M)
    program = '\n'.join(line.replace('\\"', '"').replace('\\\\', '\\') for line in lines).replace("'/strata-ml'", f"'{BUILD}/strata-ml'").replace("'/out/'", f"'{tmp_path}/'")
    (tmp_path / 'people.csv').write_text('name,age,born,member\nÄnne,30,1994-02-28,true\n"Bob, jr",,,false\n,7,2017-01-01,\n')

    def ml(*words):
        return subprocess.run([BUILD / 'strata-ml', *words], check=True, capture_output=True)
    ml('read_csv', '--param', f'path={tmp_path}/people.csv', '--out', f'table={tmp_path}/people.arrow')
    done = subprocess.run(['/usr/bin/python3', '-c', program, PANDAS, f'in1={tmp_path}/people.arrow'], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / 'table.preview.json').read_text())
    assert [(c['name'], c['type']) for c in told['columns']] == [('name', 'text'), ('age', 'real'), ('born', 'time'), ('member', 'bool'), ('next', 'real'), ('day', 'date'), ('zip', 'text'), ('i', 'int')]
    assert told['head'][0] == ['Änne', 30, '1994-02-28T00:00:00Z', True, 31, '1994-02-28', '007', 1] and told['head'][2][6] is None
