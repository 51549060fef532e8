"""What strata-ml reads and writes beside CSV, Parquet and Arrow files: JSON Lines, LIBSVM, NumPy, SQLite, and folders of files."""
import csv
import io
import json
import math
import os
import random
import resource
import sqlite3
import struct

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from test_b50_algorithms import ROOT, ml, ok, refused

TABLES = {name: ROOT / 'tests/data' / f'{name}.csv' for name in ('penguins', 'iris')}
BOTH = pytest.mark.parametrize('name', TABLES)


def read(module, path, *params, out='out.csv', cwd=None, **options):
    """What a module reads, as a CSV file that pandas takes."""
    words = [w for p in (f'path={path}', *params) for w in ('--param', p)]
    done = ok(module, *words, '--out', f'table={cwd / out}', cwd=cwd, **options)
    return pd.read_csv(cwd / out, keep_default_na=False, na_values=[''], skip_blank_lines=False), done.stdout


def refuse(code, sentence, module, path, *params, cwd=None, **options):
    words = [w for p in (f'path={path}', *params) for w in ('--param', p)]
    done = refused(code, sentence, module, *words, '--out', f'table={cwd}/refused.arrow', cwd=cwd, **options)
    assert not (cwd / 'refused.arrow').exists()
    return done


def before(module, path, *params, cwd=None):
    """What is known before a run: {column: type}, whether there may be more, and the mistakes."""
    words = [w for p in (f'path={path}', *params) for w in ('--param', p)]
    out = json.loads(ml('--schema-only', module, *words, '--out', 'table=x', cwd=cwd).stdout)
    table = out['outputs']['table']
    return {c['name']: c['type'] for c in table.get('columns', [])}, table['open'], out['mistakes']


def types(path, cwd):
    """The columns of a file of ours."""
    return before('read_arrow', path, cwd=cwd)[0]


def same(mine, theirs):
    assert list(mine.columns) == list(theirs.columns)
    assert len(mine) == len(theirs)
    for name in mine.columns:
        a, b = mine[name].reset_index(drop=True), theirs[name].reset_index(drop=True)
        if a.dtype == object or b.dtype == object:
            assert [None if v != v or v is None else str(v) for v in a] == [None if v != v or v is None else str(v) for v in b], name
        else:
            np.testing.assert_array_equal(a.astype(float), b.astype(float), err_msg=name)


# --- JSON Lines ---

@BOTH
def test_json_lines_are_what_pandas_reads(tmp_path, name):
    theirs = pd.read_csv(TABLES[name])
    theirs.to_json(tmp_path / 'in.jsonl', orient='records', lines=True, force_ascii=name == 'iris')
    mine, said = read('read_jsonl', 'in.jsonl', cwd=tmp_path)
    assert f'{len(theirs)} rows' in said
    same(mine, pd.read_json(tmp_path / 'in.jsonl', lines=True, precise_float=True))
    ok('read_csv', '--param', f'path={TABLES[name]}', '--out', 'table=t.arrow', cwd=tmp_path)
    ok('write_jsonl', '--in', 'table=t.arrow', '--param', 'path=ours.jsonl', cwd=tmp_path)
    same(pd.read_json(tmp_path / 'ours.jsonl', lines=True, precise_float=True), theirs)
    same(read('read_jsonl', 'ours.jsonl', cwd=tmp_path)[0], theirs)
    ok('write_jsonl', '--in', 'table=t.arrow', '--param', 'path=short.jsonl', '--param', 'missing=leave_out', cwd=tmp_path)
    assert 'null' not in (tmp_path / 'short.jsonl').read_text()
    same(read('read_jsonl', 'short.jsonl', cwd=tmp_path)[0][list(theirs.columns)], theirs)


def test_json_values_find_their_types(tmp_path):
    rows = [{'i': 1, 'r': 1, 'b': True, 'd': '2024-02-29', 't': '2024-02-29T08:00:00+08:00', 's': '12', 'wide': 2 ** 53,
             'mix': 1, 'n': {'x': [1, 2]}, 'né\n"\\': 0, 'e': ''},
            {'i': -5, 'r': 0.5, 'b': False, 'd': None, 't': '2024-02-29 00:00:01', 's': 'a\u0001\U0001f600', 'wide': 2 ** 53 + 1,
             'mix': 'x', 'n': [], 'late': True}]
    (tmp_path / 'a.jsonl').write_text('\ufeff' + ''.join(json.dumps(r) + '\r\n\n' for r in rows), encoding='utf-8')
    mine, _ = read('read_jsonl', 'a.jsonl', cwd=tmp_path)
    ok('read_jsonl', '--param', 'path=a.jsonl', '--out', 'table=t.arrow', cwd=tmp_path)
    want = {'i': 'int', 'r': 'real', 'b': 'bool', 'd': 'date', 't': 'time', 's': 'text', 'wide': 'text', 'mix': 'text',
            'n': 'text', 'né\n"\\': 'int', 'e': 'text', 'late': 'bool'}
    assert types('t.arrow', tmp_path) == want
    known, is_open, mistakes = before('read_jsonl', 'a.jsonl', cwd=tmp_path)
    assert known == want and not is_open and mistakes == []
    cells = list(csv.DictReader(open(tmp_path / 'out.csv', newline='', encoding='utf-8')))
    assert [r['wide'] for r in cells] == ['9007199254740992', '9007199254740993'] and [r['mix'] for r in cells] == ['1', 'x']
    assert [json.loads(r['n']) for r in cells] == [{'x': [1, 2]}, []]
    assert cells[0]['t'] == '2024-02-29T00:00:00Z' and cells[1]['s'] == 'a\u0001\U0001f600' and cells[0]['late'] == ''
    ok('read_jsonl', '--param', 'path=a.jsonl', '--param', 'text_cols=d,i', '--out', 'table=t.arrow', cwd=tmp_path)
    assert types('t.arrow', tmp_path) == {**want, 'd': 'text', 'i': 'text'}
    refuse(2, "no line has a key 'none'", 'read_jsonl', 'a.jsonl', 'text_cols=none', cwd=tmp_path)
    refuse(3, "line 1: the value of 'n' is nested", 'read_jsonl', 'a.jsonl', 'nested=error', cwd=tmp_path)


@pytest.mark.parametrize('line, sentence', [
    (b'[1]', 'column 1: an array, and each line of JSON Lines is one object'),
    (b'{"a":1', "a ',' or a '}' is missing"),
    (b'{"a":1}}', 'column 8: more follows the object'),
    (b'{"a":1,"a":2}', "the key 'a' is there twice"),
    (b'{"a":01}', 'no number of JSON'),
    (b'{"a":NaN}', 'write null'),
    (b'{"a":"x}', 'a text is opened and never closed'),
    (b'{"a":"\\ud800"}', 'an escape that is no character'),
    (b'{"a":"\\u0000"}', 'a NUL character'),
    (b'{"a":"\0"}', 'a NUL byte'),
    (b'\0{"a":1}', 'no object'),
    (b'{"a":"caf\xe9"}', 'column 10: this is not UTF-8'),
    (b'{"a":' + b'[' * 65 + b']' * 65 + b'}', 'nested deeper than 64 levels'),
    (b'{"a":"' + b'x' * (2 ** 20 + 1) + b'"}', 'longer than 1048576 bytes'),
    (b'{"' + b'k' * 2000 + b'":1}', 'a column name has 1 to 1024 bytes'),
], ids=lambda v: v[:20] if isinstance(v, bytes) else None)
def test_bad_lines_stop_are_left_out_or_empty(tmp_path, line, sentence):
    (tmp_path / 'a.jsonl').write_bytes(b'{"a":1}\n' + line + b'\n{"a":3}\n')
    refuse(3, f'a.jsonl: line 2: ', 'read_jsonl', 'a.jsonl', cwd=tmp_path)
    refuse(3, sentence, 'read_jsonl', 'a.jsonl', cwd=tmp_path)
    mine, said = read('read_jsonl', 'a.jsonl', 'on_bad_row=skip', cwd=tmp_path)
    assert list(mine['a']) == [1, 3] and '1 lines that are no JSON objects were left out' in said
    mine, said = read('read_jsonl', 'a.jsonl', 'on_bad_row=null', cwd=tmp_path)
    assert list(mine['a'].isna()) == [False, True, False]


def test_json_lines_of_other_encodings_and_of_nothing(tmp_path):
    (tmp_path / 'a.jsonl').write_text('{"a":1}\n', encoding='utf-16')
    refuse(3, 'the file is UTF-16', 'read_jsonl', 'a.jsonl', cwd=tmp_path)
    (tmp_path / 'a.jsonl').write_bytes(b'')
    assert '0 rows, 0 columns' in ok('read_jsonl', '--param', 'path=a.jsonl', '--out', 'table=o.arrow', cwd=tmp_path).stdout
    (tmp_path / 'a.jsonl').write_text('{"a":"%s"}\n' % ('é' * 100) * 3, encoding='latin-1')
    refuse(3, 'not UTF-8', 'read_jsonl', 'a.jsonl', cwd=tmp_path)


# --- CSV as people want it ---

@BOTH
def test_csv_is_written_as_it_is_wanted(tmp_path, name):
    theirs = pd.read_csv(TABLES[name])
    ok('read_csv', '--param', f'path={TABLES[name]}', '--out', 'table=t.arrow', cwd=tmp_path)
    for params, options in [((), {}), (('delim=semicolon', 'null_text=NA', 'quote=all'), {'sep': ';', 'quoting': csv.QUOTE_ALL}),
                            (('delim=tab', 'header=false', 'null_text=\\N'), {'sep': '\t', 'header': None, 'na_values': ['\\N']}),
                            (('delim=pipe', 'quote=text'), {'sep': '|', 'quoting': csv.QUOTE_NONNUMERIC})]:
        words = [w for p in ('path=o.csv', *params) for w in ('--param', p)]
        ok('write_csv', '--in', 'table=t.arrow', *words, cwd=tmp_path)
        mine = pd.read_csv(tmp_path / 'o.csv', **options)
        mine.columns = theirs.columns
        same(mine, theirs)


def test_csv_cells_keep_what_they_are(tmp_path):
    (tmp_path / 'a.csv').write_text('s,n\n"NA",1\n,\n"a;b",2.5\n"q""q",3\n" x",4\n', encoding='utf-8')
    ok('read_csv', '--param', 'path=a.csv', '--out', 'table=t.arrow', cwd=tmp_path)
    ok('write_csv', '--in', 'table=t.arrow', '--param', 'path=o.csv', '--param', 'delim=semicolon', '--param', 'null_text=NA', cwd=tmp_path)
    assert (tmp_path / 'o.csv').read_text() == 's;n\n"NA";1\nNA;NA\n"a;b";2.5\n"q""q";3\n" x";4\n'
    ok('write_csv', '--in', 'table=t.arrow', '--param', 'path=new/deep/o.csv', cwd=tmp_path)
    assert (tmp_path / 'new/deep/o.csv').is_file()  # folders that are missing are made
    (tmp_path / 'file').touch()
    refused(1, 'Not a directory', 'write_csv', '--in', 'table=t.arrow', '--param', 'path=file/o.csv', cwd=tmp_path)
    refused(2, 'null_text: it may hold no delimiter', 'write_csv', '--in', 'table=t.arrow', '--param', 'path=p.csv',
            '--param', 'null_text=a,b', cwd=tmp_path)
    assert not (tmp_path / 'p.csv').exists()


# --- LIBSVM ---

def sparse(seed, rows, columns):
    rng = np.random.default_rng(seed)
    x = np.where(rng.random((rows, columns)) < 0.2, rng.normal(size=(rows, columns)).round(4), 0)
    x[0, 0] = x[0, -1] = 1.25
    return x, rng.integers(0, 3, rows)


@pytest.mark.parametrize('zero', [True, False])
@pytest.mark.parametrize('seed, rows, columns', [(1, 200, 30), (2, 50, 400)])
def test_sparse_rows_are_what_scikit_learn_reads(tmp_path, zero, seed, rows, columns):
    x, y = sparse(seed, rows, columns)
    dump_svmlight_file(x, y, str(tmp_path / 'a.svm'), zero_based=zero, comment='made here', query_id=np.repeat(range(rows // 10), 10))
    mine, _ = read('read_libsvm', 'a.svm', cwd=tmp_path)
    theirs, labels, qid = load_svmlight_file(str(tmp_path / 'a.svm'), query_id=True)
    assert list(mine.columns) == ['label', 'qid'] + [f'f{i + 1}' for i in range(columns)]
    np.testing.assert_array_equal(mine[mine.columns[2:]], theirs.toarray())
    np.testing.assert_array_equal(mine['label'], labels)
    np.testing.assert_array_equal(mine['qid'], qid)
    ok('chain', 'read_libsvm --param path=./a.svm --out table=t',
       f'write_libsvm --in table=t --param path=./o.svm --param label_col=label --param cols=@numeric,-qid --param index={"zero" if zero else "one"}',
       cwd=tmp_path)
    again, labels_again = load_svmlight_file(str(tmp_path / 'o.svm'), n_features=columns, zero_based=zero)
    np.testing.assert_array_equal(again.toarray(), x)
    np.testing.assert_array_equal(labels_again, y)


def test_sparse_rows_at_the_edges(tmp_path):
    def put(text):
        (tmp_path / 'a.svm').write_text(text)
        return 'a.svm'

    mine, _ = read('read_libsvm', put('# head\n-1.5 2:nan\n\n+1 1:1e3 # x 3:4\n'), 'features=4', 'label_col=y', cwd=tmp_path)
    assert list(mine.columns) == ['y', 'f1', 'f2', 'f3', 'f4']
    assert list(mine['y']) == [-1.5, 1] and list(mine['f1']) == [0, 1000] and math.isnan(mine['f2'][0]) and list(mine['f4']) == [0, 0]
    known, is_open, _ = before('read_libsvm', 'a.svm', cwd=tmp_path)
    assert known == {'label': 'real', 'f1': 'real', 'f2': 'real'} and not is_open
    for text, params, sentence in [
            ('', (), 'no line with a label'), ('1 2:1 1:1', (), 'feature 1 stands behind feature 2'),
            ('1 1:1 1:2', (), 'feature 1 stands behind feature 1'), ('1 a:1', (), "line 1: 'a:1' has no whole number"),
            ('1 3', (), "line 1: '3' is no pair"), ('1 3:x', (), "line 1: '3:x' is no number"), ('x 1:1', (), "line 1: 'x' is no number"),
            ('1,2 1:1', (), 'several labels'), ('1 0:1', ('index=one',), 'with index=zero'),
            ('1 70000:1', (), 'line 1: feature 70000: a table has at most 65534 features'),
            ('1 5:1', ('features=4',), 'there is a feature 5, and features=4'), ('1 1:\0', (), 'is no number')]:
        refuse(3, sentence, 'read_libsvm', put(text), *params, cwd=tmp_path)
    refuse(4, 'not enough memory', 'read_libsvm', put('1 60000:1\n' * 2000), cwd=tmp_path, memory='200Mi')
    (tmp_path / 'm.csv').write_text('y,a,s\n1,2,x\n0,,y\n')
    ok('read_csv', '--param', 'path=m.csv', '--out', 'table=m.arrow', cwd=tmp_path)
    write = ('write_libsvm', '--in', 'table=m.arrow', '--param', 'path=o.svm', '--param')
    refused(3, "row 2, column 'a' is missing", *write, 'label_col=y', cwd=tmp_path)
    refused(3, "column 's' holds text", *write, 'label_col=s', cwd=tmp_path)
    assert not (tmp_path / 'o.svm').exists()


# --- NumPy ---

def save(path, array, **options):
    with open(path, 'wb') as f:
        np.lib.format.write_array(f, array, **options)


@pytest.mark.parametrize('order', ['C', 'F'])
@pytest.mark.parametrize('kind', ['?', 'i1', '<i2', '>i4', '<i8', 'u1', '>u2', '<u4', '<u8', '<f2', '>f2', '<f4', '>f4', '<f8', '>f8'])
def test_arrays_are_what_numpy_saved(tmp_path, kind, order):
    for shape, version in [((40, 7), (1, 0)), ((1, 300), (2, 0)), ((280,), (3, 0)), ((0, 3), (1, 0))]:
        rng = np.random.default_rng(7)
        n = math.prod(shape)
        values = rng.integers(0, 100, n) - (0 if np.dtype(kind).kind in 'ub' else 50)
        a = np.asarray((values / (8 if np.dtype(kind).kind == 'f' else 1)), order=order).astype(kind).reshape(shape, order=order)
        save(tmp_path / 'a.npy', np.asarray(a, order=order), version=version)
        mine, _ = read('read_npy', 'a.npy', cwd=tmp_path)
        back = np.load(tmp_path / 'a.npy')
        np.testing.assert_array_equal(mine.to_numpy(dtype=float).reshape(back.shape), back.astype(float))
        want = {'b': 'bool', 'i': 'int', 'u': 'int', 'f': 'real'}[np.dtype(kind).kind]
        known, is_open, mistakes = before('read_npy', 'a.npy', cwd=tmp_path)
        assert set(known.values()) == {want} and not is_open and mistakes == [] and list(known) == list(mine.columns)


def test_arrays_of_other_kinds(tmp_path):
    np.save(tmp_path / 'a.npy', np.array([('x', 1, 2.5, b'ab', '2024-05-06', '2024-05-06T07:08:09.5'), ('名前é', -1, np.nan, b'', 'NaT', 'NaT')],
                                         dtype=[('s', '>U5'), ('größe', '<i8'), ('f', '<f4'), ('b', 'S3'), ('d', 'M8[D]'), ('t', 'M8[ms]')]))
    mine, _ = read('read_npy', 'a.npy', cwd=tmp_path)
    assert list(mine.columns) == ['s', 'größe', 'f', 'b', 'd', 't']
    assert list(mine['s']) == ['x', '名前é'] and list(mine['größe']) == [1, -1] and mine['b'][0] == 'ab'
    assert mine['d'][0] == '2024-05-06' and mine['t'][0] == '2024-05-06T07:08:09.500Z' and mine['d'].isna()[1] and mine['t'].isna()[1]
    np.save(tmp_path / 'a.npy', np.zeros(3, dtype=np.dtype({'names': ['a', 'b'], 'formats': ['i1', 'f8']}, align=True)))
    assert list(read('read_npy', 'a.npy', cwd=tmp_path)[0].columns) == ['a', 'b']
    np.save(tmp_path / 'a.npy', np.array([2 ** 64 - 1, 1], dtype='u8'))
    assert (read('read_npy', 'a.npy', cwd=tmp_path), (tmp_path / 'out.csv').read_text())[1] == 'column_1\n18446744073709551615\n1\n'
    np.save(tmp_path / 'a.npy', np.float64(1.5))
    assert read('read_npy', 'a.npy', cwd=tmp_path)[0]['column_1'][0] == 1.5


def test_arrays_that_are_refused_say_why(tmp_path):
    def put(array, **options):
        np.save(tmp_path / 'a.npy', array, **options)
        return 'a.npy'

    for array, sentence in [(np.array([{}], dtype=object), 'reading those runs code'), (np.array([1j]), 'save real and imaginary parts'),
                            (np.zeros((2, 2, 2)), 'more than two dimensions'), (np.array([1], dtype='m8[s]'), 'durations'),
                            (np.zeros(2, dtype=[('a', 'f8', (2,))]), "the field 'a' is an array"), (np.zeros(2, dtype='V3'), 'no column here'),
                            (np.zeros((2, 2), dtype=[('a', 'f8')]), 'structured array of two dimensions'),
                            (np.zeros(1, dtype=[('a', [('b', 'f8')])]), "the field 'a' is an array or a structure")]:
        refuse(2, sentence, 'read_npy', put(array), cwd=tmp_path)
    refuse(3, 'no finer than a microsecond', 'read_npy', put(np.array([1], dtype='M8[ns]')), cwd=tmp_path)
    refuse(3, 'bytes are UTF-8 without NUL', 'read_npy', put(np.array([b'\xff'])), cwd=tmp_path)
    np.savez(tmp_path / 'a.npz', np.zeros(2))
    refuse(3, 'numpy.savez', 'read_npy', 'a.npz', cwd=tmp_path)
    good = (tmp_path / put(np.zeros((4, 4)))).read_bytes()
    for damaged, sentence in [(good[:-1], 'are promised'), (good + b'x', 'are promised'), (good[:60], 'ends within its head'),
                              (good.replace(b'(4, 4)', b'(4,-4)'), 'not what numpy writes'), (good.replace(b"'shape'", b"'shapo'"), 'not what numpy'),
                              (good.replace(b'(4, 4)', b'(9e9,)'), 'not what numpy'), (good[:6] + b'\x09' + good[7:], 'version 9'),
                              (good.replace(b'(4, 4), }', b'(99999999999, 4), }'), 'rows'), (b'', 'no file of numpy.save')]:
        (tmp_path / 'a.npy').write_bytes(damaged)
        refuse(3, sentence, 'read_npy', 'a.npy', cwd=tmp_path)
    assert any('pickles' in m['message'] for m in before('read_npy', put(np.array([{}], dtype=object)), cwd=tmp_path)[2])


# --- SQLite ---

@BOTH
def test_tables_of_sqlite_are_what_pandas_reads(tmp_path, name):
    theirs = pd.read_csv(TABLES[name])
    theirs.columns = [c.replace(' ', '_') for c in theirs.columns]
    db = sqlite3.connect(tmp_path / 'a.db')
    theirs.to_sql('a table', db, index=False)
    db.commit()
    mine, _ = read('read_sqlite', 'a.db', 'table=a table', cwd=tmp_path)
    same(mine, pd.read_sql('select * from "a table"', db))
    first = theirs.columns[-1]
    query = f'select "{first}" as k, count(*) as n, avg(rowid) as m from "a table" where "{first}" is not null group by 1 order by 2, 1'
    same(read('read_sqlite', 'a.db', f'query={query}', cwd=tmp_path)[0], pd.read_sql(query, db))


def database(path, *statements):
    path.unlink(missing_ok=True)
    db = sqlite3.connect(path)
    for s in statements:
        db.execute(s)
    db.commit()
    return db


def test_types_of_sqlite(tmp_path):
    database(tmp_path / 'a.db', 'create table t (i integer, r real, b boolean, d date, ts datetime, s text, big int, mixed, b2 bool)',
             "insert into t values (1, 2, 1, '2024-01-02', '2024-01-02 03:04:05', '007', 9007199254740993, 1, 2)",
             "insert into t values (null, 2.5, 0, null, '2024-01-02T03:04:05Z', 'x', 1, 'a', 0)").close()
    ok('read_sqlite', '--param', 'path=a.db', '--param', 'table=t', '--out', 'table=t.arrow', cwd=tmp_path)
    assert types('t.arrow', tmp_path) == {'i': 'int', 'r': 'real', 'b': 'bool', 'd': 'date', 'ts': 'time', 's': 'text', 'big': 'text',
                                          'mixed': 'text', 'b2': 'int'}
    mine = list(csv.reader(open((read('read_sqlite', 'a.db', 'table=t', cwd=tmp_path), tmp_path / 'out.csv')[1])))
    assert mine[1][5:8] == ['007', '9007199254740993', '1'] and mine[2][:3] == ['', '2.5', 'false']


def test_an_sqlite_file_can_only_be_read(tmp_path):
    db = database(tmp_path / 'a.db', 'create table t (a, b blob)', "insert into t values (1, x'00')", 'create view v as select a from t',
                  'create table u (a)', 'create view clock as select random() as r')
    db.close()
    was = (tmp_path / 'a.db').read_bytes()
    for query, sentence in [('delete from t', 'one SELECT'), ('pragma user_version', 'not authorized'), ("attach 'b.db' as b", 'SELECT'),
                            ('select a from t; select 1', 'one SELECT'), ("select load_extension('x')", 'can only read the file'),
                            ('select random()', 'not authorized'), ('select * from clock', 'prohibited'), ('select nope from t', 'no such column'),
                            ('select a, a from t', "both named 'a'"), ('select readfile(1)', 'no such function'), ('', 'either a table or a query')]:
        done = ml('read_sqlite', '--param', 'path=a.db', '--param', f'query={query}', '--out', 'table=o.arrow', cwd=tmp_path)
        assert done.returncode == 2 and (sentence in done.stderr or 'not authorized' in done.stderr), (query, done.stderr)
    refuse(2, "no table 'x'; there are clock, t, u, v", 'read_sqlite', 'a.db', 'table=x', cwd=tmp_path)
    refuse(2, 'not both', 'read_sqlite', 'a.db', 'table=t', 'query=select 1', cwd=tmp_path)
    refuse(3, "row 1, column 'b' holds bytes", 'read_sqlite', 'a.db', 'table=t', cwd=tmp_path)
    assert list(read('read_sqlite', 'a.db', 'table=v', cwd=tmp_path)[0]['a']) == [1]
    refuse(2, 'took longer', 'read_sqlite', 'a.db', 'seconds=1',
           'query=with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c', cwd=tmp_path)
    assert (tmp_path / 'a.db').read_bytes() == was and sorted(p.name for p in tmp_path.iterdir()) == ['a.db', 'out.csv']
    (tmp_path / 'b.db').write_bytes(b'no database' * 20)
    refuse(3, 'this is no SQLite file', 'read_sqlite', 'b.db', 'table=t', cwd=tmp_path)
    assert 'no SQLite file' in before('read_sqlite', 'b.db', 'table=t', cwd=tmp_path)[2][0]['message']


def test_an_sqlite_file_with_a_log_is_read_when_the_log_is_home(tmp_path):
    db = database(tmp_path / 'a.db', 'pragma journal_mode=wal', 'create table t (a)', 'insert into t values (1)')
    refuse(3, 'part of it lies in a.db-wal', 'read_sqlite', 'a.db', 'table=t', cwd=tmp_path)
    db.close()
    assert not (tmp_path / 'a.db-wal').exists()
    assert list(read('read_sqlite', 'a.db', 'table=t', cwd=tmp_path)[0]['a']) == [1]


def test_damaged_sqlite_files_never_crash_it(tmp_path):
    database(tmp_path / 'a.db', 'create table t (a integer primary key, b text, c real)', 'create index i on t (b)',
             "with recursive n(x) as (select 1 union all select x + 1 from n where x < 500) insert into t select x, 'text ' || x, x / 3.0 from n").close()
    good = (tmp_path / 'a.db').read_bytes()
    rng = random.Random(5)
    for i in range(60):
        bad = bytearray(good[:rng.choice([len(good), rng.randrange(100, len(good))])])
        for _ in range(rng.choice([1, 3, 30])):
            bad[rng.randrange(16 if i % 2 else 100, len(bad))] = rng.randrange(256)
        (tmp_path / 'b.db').write_bytes(bad)
        done = ml('read_sqlite', '--param', 'path=b.db', '--param', 'query=select count(b), sum(c), b from t where b > "text 2" group by a % 7',
                  '--out', 'table=o.arrow', cwd=tmp_path)
        assert done.returncode in (0, 2, 3), (i, done.returncode, done.stderr)


# --- folders ---

def spread(folder, theirs, parts, write):
    """A table in several files of a folder."""
    folder.mkdir(parents=True)
    for i, part in enumerate(np.array_split(theirs, parts)):
        write(part, folder / f'part-{i}')
    return folder


@BOTH
def test_a_folder_is_one_table(tmp_path, name):
    theirs = pd.read_csv(TABLES[name])
    folder = spread(tmp_path / 'csv', theirs, 7, lambda part, path: part.to_csv(f'{path}.csv', index=False))
    (folder / '_SUCCESS').touch()
    (folder / '.hidden.csv').write_text('no,table\n')
    (folder / 'README').write_text('no table')
    (folder / 'below').mkdir()
    (folder / 'below' / 'x.csv').write_text('no\ntable\n')
    mine, said = read('read_csv', 'csv', cwd=tmp_path)
    assert f'{len(theirs)} rows' in said and '7 files of csv' in said
    same(mine, theirs)
    same(read('read_csv', 'csv/part-?.csv', cwd=tmp_path)[0], theirs)
    same(read('read_csv', 'c*v/*-*.csv', cwd=tmp_path)[0], theirs)
    some, _ = read('read_csv', 'csv', 'max_rows=60', 'file_col=file', cwd=tmp_path)
    same(some.drop(columns='file'), theirs[:60])
    assert some['file'][0] == 'part-0.csv' and some['file'][59] != 'part-0.csv'
    same(read('read_csv', 'csv', 'file_col=file', cwd=tmp_path)[0].drop(columns='file'), theirs)
    assert set(before('read_csv', 'csv', cwd=tmp_path)[0]) == set(theirs.columns)
    spread(tmp_path / 'json', theirs, 3, lambda part, path: part.to_json(f'{path}.ndjson', orient='records', lines=True, double_precision=15))
    same(read('read_jsonl', 'json', cwd=tmp_path)[0], theirs)
    same(read('read_jsonl', 'json/*', 'file_col=f', 'max_rows=100', cwd=tmp_path)[0].drop(columns='f'), theirs[:100])
    (tmp_path / 'pq').mkdir()
    for path in sorted(folder.glob('part-*.csv')):
        ok('chain', f'read_csv --param path={path} --out table=t', f'write_parquet --in table=t --param path=./pq/{path.stem}.parquet', cwd=tmp_path)
    same(read('read_parquet', 'pq', cwd=tmp_path)[0], theirs)
    same(read('read_parquet', 'pq/*.parquet', f'cols={theirs.columns[1]}', cwd=tmp_path)[0], theirs[[theirs.columns[1]]])
    assert types_known('read_parquet', 'pq', tmp_path) == types_known('read_csv', 'csv', tmp_path)


def types_known(module, path, cwd):
    known, is_open, mistakes = before(module, path, cwd=cwd)
    assert not is_open and mistakes == []
    return known


@BOTH
def test_folders_that_say_values_give_columns(tmp_path, name):
    theirs = pd.read_csv(TABLES[name]).sort_values('species' if name == 'penguins' else 'Species', kind='stable')
    key = 'species' if name == 'penguins' else 'Species'
    rest = theirs.drop(columns=key)
    for n, (value, part) in enumerate(rest.groupby(theirs[key], sort=True)):
        at = tmp_path / 'sales' / f'yr={2020 + n}' / f'{key}={value[0]}%20{value}' / f'day=2024-01-0{n + 1}'
        at.mkdir(parents=True)
        part.to_csv(at / 'a.csv', index=False)
    mine, _ = read('read_csv', 'sales', cwd=tmp_path)
    assert list(mine.columns) == [*rest.columns, 'yr', key, 'day']
    assert list(mine[key]) == [f'{v[0]} {v}' for v in theirs[key]]
    assert sorted(set(mine['yr'])) == [2020, 2021, 2022] and mine['day'][0] == '2024-01-01'
    known = types_known('read_csv', 'sales', tmp_path)
    assert (known['yr'], known[key], known['day']) == ('int', 'text', 'date')
    one, _ = read('read_csv', 'sales/yr=202*/*/*/a.csv', 'file_col=from', cwd=tmp_path)
    assert list(one.columns) == [*rest.columns, 'yr', key, 'day', 'from'] and one['from'][0].startswith('yr=2020/')
    (tmp_path / 'sales/yr=2020/b.csv').write_text(','.join(rest.columns) + '\n')
    refuse(3, 'lies below folders of other keys', 'read_csv', 'sales', cwd=tmp_path)


def test_files_of_a_folder_that_differ(tmp_path):
    folder = tmp_path / 'f'
    folder.mkdir()

    def put(**files):
        for p in folder.iterdir():
            p.unlink()
        for name, text in files.items():
            (folder / f'{name}.csv').write_text(text)

    put(a='x,y\n1,2\n', b='y,x\n3,4\n')
    same(read('read_csv', 'f', cwd=tmp_path)[0], pd.DataFrame({'x': [1, 4], 'y': [2, 3]}))
    put(a='x,y\n1,2\n', b='x,z\n3,w\n')
    refuse(3, "a.csv has a column 'y', and b.csv has not; on_other_columns=fill", 'read_csv', 'f', cwd=tmp_path)
    mine, _ = read('read_csv', 'f', 'on_other_columns=fill', 'text_cols=z', cwd=tmp_path)
    assert list(mine.columns) == ['x', 'y', 'z'] and math.isnan(mine['y'][1]) and mine['z'][1] == 'w'
    assert before('read_csv', 'f', 'on_other_columns=fill', cwd=tmp_path)[1]
    put(a='x,e\n1.50,\n2,\n', b='x,e\nn1,3\n', c='x,e\n07,4\n')
    ok('read_csv', '--param', 'path=f', '--out', 'table=o.csv', cwd=tmp_path)
    assert (tmp_path / 'o.csv').read_text() == 'x,e\n1.50,\n2,\nn1,3\n07,4\n'
    put(a='d,x\n2024-01-01,1\n', b='d,x\n2024-01-01T01:00:00Z,0.5\n')
    ok('read_csv', '--param', 'path=f', '--out', 'table=o.arrow', cwd=tmp_path)
    assert types('o.arrow', tmp_path) == {'d': 'time', 'x': 'real'}
    put(a='7,8\n1,2\n', b='9,10\n')
    assert (read('read_csv', 'f', cwd=tmp_path), (tmp_path / 'out.csv').read_text())[1] == 'column_1,column_2\n7,8\n1,2\n9,10\n'
    put(a='x\n1\n', b='x\n1,2\n')
    refuse(3, 'f/b.csv: line 2 has 2 cells', 'read_csv', 'f', cwd=tmp_path)
    put(a='x\n1\n')
    refuse(3, "'x' already, as a folder or file_col has", 'read_csv', 'f', 'file_col=x', cwd=tmp_path)
    put()
    refuse(2, 'the folder has no file that ends with', 'read_csv', 'f', cwd=tmp_path)
    refuse(2, 'no file fits the pattern', 'read_csv', 'f/*.csv', cwd=tmp_path)
    assert 'no file that ends' in before('read_csv', 'f', cwd=tmp_path)[2][0]['message']
    refuse(2, 'cannot list nowhere/', 'read_csv', 'nowhere/*.csv', cwd=tmp_path)
    refuse(2, 'No such file', 'read_csv', 'nowhere', cwd=tmp_path)
    refuse(2, 'not a regular file', 'read_npy', 'f', cwd=tmp_path)
    (folder / '*.csv').write_text('a\n1\n')
    (folder / 'b.csv').write_text('a\n2\n')
    assert list(read('read_csv', 'f/*.csv', cwd=tmp_path)[0]['a']) == [1]
    for p, text in (('a', 'x\n1\n'), ('b', 'x\nn\n')):
        (tmp_path / f'{p}.csv').write_text(text)
        ok('chain', f'read_csv --param path=./{p}.csv --out table=t', f'write_parquet --in table=t --param path=./f/{p}.parquet', cwd=tmp_path)
    refuse(3, "column 'x' holds text in b.parquet, and numbers in a.parquet", 'read_parquet', 'f', cwd=tmp_path)


def test_a_folder_of_too_many_files_is_refused(tmp_path):
    folder = tmp_path / 'many'
    folder.mkdir()
    for i in range(10001):
        (folder / f'{i}.csv').touch()
    refuse(3, 'more than 10000 files', 'read_csv', 'many', cwd=tmp_path)
    os.symlink(folder, folder / 'k=1')  # goes round, and is not followed
    deep = tmp_path / 'deep'
    at = deep
    for i in range(18):
        at = at / f'k{i}=1'
    at.mkdir(parents=True)
    refuse(3, 'deeper than 16', 'read_csv', 'deep', cwd=tmp_path)


# --- hostile text ---

def small():
    """What the program takes itself; files that are mapped do not count."""
    resource.setrlimit(resource.RLIMIT_DATA, (100 << 20, 100 << 20))


@pytest.mark.parametrize('columns', [10000, 70000])
def test_wide_tables_are_read_or_named(tmp_path, columns):
    names = [f'c{i}' for i in range(columns)]
    rows = [[i * columns + k if k % 3 else f't{k % 7}' for k in range(columns)] for i in range(5)]
    with open(tmp_path / 'a.csv', 'w', newline='') as f:
        csv.writer(f).writerows([names, *rows])
    (tmp_path / 'a.jsonl').write_text(''.join(json.dumps(dict(zip(names, r))) + '\n' for r in rows))
    if columns > 65536:
        refuse(3, 'a.csv: line 1 has more than 65536 cells', 'read_csv', 'a.csv', 'header=yes', cwd=tmp_path, limits=small)
        refuse(3, 'a.jsonl: line 1: an object has at most 65536 keys', 'read_jsonl', 'a.jsonl', cwd=tmp_path, limits=small)
        return
    for module, path in (('read_csv', 'a.csv'), ('read_jsonl', 'a.jsonl')):
        ok(module, '--param', f'path={path}', '--out', 'table=o.csv', '--out', 'table=o.arrow', cwd=tmp_path, limits=small)
        assert list(csv.reader(open(tmp_path / 'o.csv'))) == [names, *([str(v) for v in r] for r in rows)]
        found = types('o.arrow', tmp_path)
        assert list(found) == names and found['c0'] == 'text' and found['c1'] == 'int'


def test_a_cell_of_a_hundred_megabytes_is_refused_in_little_memory(tmp_path):
    cell = 'x' * (100 << 20)
    for text in (f'a,b\n1,2\n3,"{cell}"\n', f'a,b\n1,2\n3,{cell}\n', f'a,b\n1,2\n3,"{cell}'):
        (tmp_path / 'a.csv').write_text(text)
        for params in ((), ('on_bad_row=skip',)):
            refuse(3, 'a.csv: line 3, column 2: the cell is longer than 1048576 bytes; is a quote left open?', 'read_csv', 'a.csv', *params,
                   cwd=tmp_path, limits=small)
    assert before('read_csv', 'a.csv', cwd=tmp_path)[2] == []
    (tmp_path / 'a.jsonl').write_text('{"a":1}\n{"a":"%s"}\n' % cell)
    refuse(3, 'a.jsonl: line 2: it is longer than 67108864 bytes', 'read_jsonl', 'a.jsonl', cwd=tmp_path, limits=small)
    assert list(read('read_jsonl', 'a.jsonl', 'on_bad_row=skip', cwd=tmp_path, limits=small)[0]['a']) == [1]
    (tmp_path / 'a.jsonl').write_text('{"a":1}\n{"a":["%s"]}\n' % ('y' * (30 << 20)))
    refuse(3, 'longer than 1048576 bytes', 'read_jsonl', 'a.jsonl', cwd=tmp_path, limits=small)


def test_mixed_encodings_are_named_by_their_place(tmp_path):
    def put(data):
        (tmp_path / 'a.csv').write_bytes(data)
        return 'a.csv'

    mixed = 'id,name\n1,Ängström\n2,ok\n'.encode() + '3,Ängström\n'.encode('latin-1')
    refuse(3, 'a.csv: line 4, column 2 is not UTF-8; if the file is Western European text, set encoding=latin1', 'read_csv', put(mixed), cwd=tmp_path)
    assert list(read('read_csv', 'a.csv', 'encoding=latin1', cwd=tmp_path)[0]['name'])[2] == 'Ängström'
    for encoding in ('utf-16', 'utf-16-be', 'utf-16-le'):
        data = ('' if encoding == 'utf-16' else '\ufeff').encode(encoding) + 'a,b\n1,2\n'.encode(encoding)
        refuse(3, 'the file is UTF-16: save it as UTF-8 first', 'read_csv', put(data), cwd=tmp_path)
    refuse(3, 'NUL byte', 'read_csv', put('a,b\n1,2\n'.encode('utf-16-le')), 'header=yes', cwd=tmp_path)
    assert list(read('read_csv', put(b'\xef\xbb\xbfa,b\n1,2\n'), cwd=tmp_path)[0].columns) == ['a', 'b']
    for data, sentence in [(b'a,b\n1,x\n2,y\0z\n', 'line 3, column 2 holds a NUL byte'), (b'a\0,b\n1,2\n', 'line 1, column 1 holds a NUL byte'),
                           (b'a,b\n1,2\n3\0,4\n', 'line 3, column 1 holds a NUL byte'), (b'a,b\n1,\xed\xa0\x80\n', 'is not UTF-8'),
                           (b'a,\xff\n1,2\n', 'line 1, column 2 is not UTF-8')]:
        refuse(3, sentence, 'read_csv', put(data), cwd=tmp_path)


def test_ragged_rows_and_open_quotes_in_the_middle_of_a_large_file(tmp_path):
    rows = 'a,b,c\n' + '1,"two, three",4\n' * 50000
    (tmp_path / 'a.csv').write_text(rows + '5,6\n' + '1,2,3\n' * 1000 + '7,8,9,10\n')
    refuse(3, 'a.csv: line 50002 has 2 cells, and 3 columns are known from line 1', 'read_csv', 'a.csv', cwd=tmp_path)
    mine, said = read('read_csv', 'a.csv', 'on_bad_row=skip', cwd=tmp_path)
    assert len(mine) == 51000 and '2 lines with a wrong number of cells were left out' in said
    mine, _ = read('read_csv', 'a.csv', 'on_bad_row=null', cwd=tmp_path)
    assert len(mine) == 51002 and math.isnan(mine['c'][50000]) and mine['c'][51001] == 9
    (tmp_path / 'a.csv').write_text(rows + '5,"6,7\n' + '1,2,3\n' * 1000)
    refuse(3, 'a.csv: line 50002, column 2: a quote is opened and never closed', 'read_csv', 'a.csv', 'on_bad_row=skip', cwd=tmp_path)


# --- what folders say, and rows of PostgreSQL ---

def test_folders_that_are_not_all_numbers_are_texts_as_spelled(tmp_path):
    for version in ('+5', '1.10', '1e5', 'dev'):
        (tmp_path / f'p/v={version}').mkdir(parents=True)
        (tmp_path / f'p/v={version}/a.csv').write_text('x\n1\n')
    mine, _ = read('read_csv', 'p', cwd=tmp_path)
    assert list(mine['v']) == ['+5', '1.10', '1e5', 'dev']
    (tmp_path / 'p/v=dev/a.csv').unlink()
    assert list(read('read_csv', 'p', cwd=tmp_path)[0]['v']) == [5, 1.1, 100000]


def test_many_columns_of_postgres_that_become_text_take_two_passes(tmp_path):
    n, rows = 300, 3000
    lines = ['strata-rows 1', '\t'.join(f'c{i}\tint' for i in range(n))] + ['\t'.join(['1'] * n)] * (rows - n)
    lines += ['\t'.join('9007199254740993' if i == r else '\\N' for i in range(n)) for r in range(n)]
    (tmp_path / 'in.rows').write_text('\n'.join(lines) + '\n')
    words = ('host=h', 'database=d', 'user=u', 'table=t')
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = ok('import_postgres', *[w for p in words for w in ('--param', p)], '--in', 'rows=in.rows', '--out', 'table=out.csv', cwd=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert f"{n} columns are text, 'c0' first" in done.stdout
    assert after.ru_utime - before.ru_utime < 3  # a pass a column: 20 times as much
    table = pd.read_csv(tmp_path / 'out.csv', dtype=str)
    assert len(table) == rows and list(table['c7'].dropna().unique()) == ['1', '9007199254740993']


def test_a_line_that_is_left_out_leaves_no_column_behind(tmp_path):
    (tmp_path / 'a.jsonl').write_text('{"a":1}\n{"new":1,"newer":2,"new":3}\n{"a":2,"b":3}\n')
    for bad in ('skip', 'null'):
        ok('read_jsonl', '--param', 'path=./a.jsonl', '--param', f'on_bad_row={bad}', '--out', 'table=./a.csv', cwd=tmp_path)
        assert (tmp_path / 'a.csv').read_text().splitlines()[0] == 'a,b'
