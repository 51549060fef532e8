"""Tables as Arrow files, judged by another implementation: apache-arrow of npm, a package of web/."""
import csv
import json

import pytest

from peers import Peer
from test_b50_algorithms import ROOT, ml, ok, refused

client = Peer('node', ROOT / 'tests/arrow_client.mjs')
CSV = 'i,r,b,d,t,s\n7,0.5,true,2024-02-29,2024-02-29T08:00:00Z,台北\n,-inf,false,,1969-12-31T23:59:59.500001Z,\n' \
      '-9007199254740992,,,0001-01-01,,"x, y"\n'

# What tests/arrow_client.mjs writes, as CSV, but for the first column: one row missing in the middle.
HEADER = 'int8,uint8,int16,uint16,int32,uint32,int64,wide,uint64,float16,float32,float64,bool,utf8,large,codes,day,' \
         'milliday,millitime,s,ms,us,ns,clock,none'
FIRST = '-128,0,-32768,0,-2147483648,0,-9007199254740992,1,1,-0.25,0.5,0.1,true,台北,台北,b,2024-02-29,2024-02-29,' \
        + '2024-02-29T08:00:00Z,' * 5 + '3661,'
LAST = '127,255,32767,65535,2147483647,4294967295,9007199254740992,-9007199254740993,18446744073709551615,65504,-1.5,' \
       '-inf,false,"",x,a,1969-12-31,1969-12-31,' + '1969-12-31T23:59:59Z,' * 5 + '0,'
TYPES = ['int'] * 7 + ['text'] * 2 + ['real'] * 3 + ['bool'] + ['text'] * 3 + ['date'] * 2 + ['time'] * 5 + ['real'] * 2


def as_csv(path):
    """What we read of an Arrow file; a split of everything copies it."""
    out = path.with_suffix('.csv')
    ok('split', '--in', f'table={path}', '--param', 'mode=ordered', '--param', 'fraction=1', '--out', f'train={out}')
    return out.read_text()


@pytest.fixture(scope='module')
def ours(tmp_path_factory):
    folder = tmp_path_factory.mktemp('ours')
    (folder / 'a.csv').write_text(CSV)
    ok('read_csv', '--param', f'path={folder}/a.csv', '--out', f'table={folder}/a.arrow')
    return folder / 'a.arrow'


def test_others_read_every_type_of_ours(ours):
    seen = client('read', ours)
    assert seen['fields'] == [
        ['i', 'Int64'], ['r', 'Float64'], ['b', 'Bool'], ['d', 'Date32<DAY>'], ['t', 'Timestamp<MICROSECOND, UTC>'],
        ['s', 'Dictionary<Int32, LargeUtf8>']]
    first, middle, last = seen['rows']
    assert first == ['7', 0.5, True, 1709164800000, 1709193600000, '台北']
    assert middle[:4] == [None, None, False, None] and middle[5] is None  # JSON has no infinity
    assert last == ['-9007199254740992', None, None, -62135596800000, None, 'x, y']


def test_ours_goes_through_a_file_unchanged(ours):
    assert as_csv(ours) == CSV


@pytest.mark.parametrize('form', ['file', 'stream', 'zstd', 'lz4'])
def test_we_read_every_type_of_others(tmp_path, form):
    path = tmp_path / 'x.arrow'
    client('write', path, form)
    lines = as_csv(path).splitlines()
    assert lines[:4] == [HEADER, FIRST, ',' * HEADER.count(','), LAST]
    assert lines[1:] == lines[1:4] * ((len(lines) - 1) // 3)


def test_a_file_from_outside_is_read_by_a_module(tmp_path):
    client('write', tmp_path / 'x.arrow', 'lz4')
    done = ok('read_arrow', '--param', f'path={tmp_path}/x.arrow', '--out', f'table={tmp_path}/y.csv')
    assert 'read_arrow: 3000 rows, 25 columns' in done.stdout
    assert (tmp_path / 'y.csv').read_text().splitlines()[1] == FIRST


@pytest.mark.parametrize('form', ['file', 'stream'])
def test_columns_are_known_before_a_run(tmp_path, form):
    client('write', tmp_path / 'x.arrow', form)
    seen = json.loads(ok('--schema-only', 'read_arrow', '--param', f'path={tmp_path}/x.arrow').stdout)
    columns = seen['outputs']['table']['columns']
    assert [c['name'] for c in columns] == HEADER.split(',')
    told = {'wide': 'int', 'uint64': 'int', 'millitime': 'date'}  # only the values say that they are others
    assert [c['type'] for c in columns] == [told.get(n, t) for n, t in zip(HEADER.split(','), TYPES)]
    (tmp_path / 'x.arrow').write_bytes((tmp_path / 'x.arrow').read_bytes()[:-1] if form == 'file' else b'a,b')
    wrong = json.loads(ml('--schema-only', 'read_arrow', '--param', f'path={tmp_path}/x.arrow').stdout)
    assert [m['param'] for m in wrong['mistakes']] == ['path']


def test_many_batches_with_dictionaries_of_their_own_are_one_table(tmp_path):
    client('write', tmp_path / 'x.arrow', 'batches')
    empty = ',' * HEADER.count(',')
    assert as_csv(tmp_path / 'x.arrow').splitlines() == [HEADER, FIRST, empty, LAST, LAST, empty, FIRST, FIRST, empty, LAST]


def test_types_survive_the_way_back(tmp_path):
    client('write', tmp_path / 'x.arrow', 'file')
    ok('split', '--in', f'table={tmp_path}/x.arrow', '--param', 'fraction=1', '--out', f'train={tmp_path}/y.arrow')
    names = {'int': 'Int64', 'real': 'Float64', 'bool': 'Bool', 'date': 'Date32<DAY>',
             'time': 'Timestamp<MICROSECOND, UTC>', 'text': 'Dictionary<Int32, LargeUtf8>'}
    assert [f[1] for f in client('read', tmp_path / 'y.arrow')['fields']] == [names[t] for t in TYPES]


def test_what_a_table_cannot_hold_is_named(tmp_path):
    client('write', tmp_path / 'x.arrow', 'list')
    refused(3, "column 26 ('tags') is of the type list", 'split', '--in', f'table={tmp_path}/x.arrow', '--out',
            'train=y.arrow')


def test_a_file_of_something_else_is_told_apart(tmp_path, ours):
    (tmp_path / 'x.csv').write_text('a,b\n1,2\n')
    words = ['--in', f'table={tmp_path}/x.csv', '--out', f'train={tmp_path}/y.arrow']
    refused(3, 'not an Arrow file: text is read by the module read_csv', 'split', *words)
    (tmp_path / 'x.csv').write_bytes(ours.read_bytes()[:-1])
    refused(3, 'is it all there?', 'split', *words)
    refused(3, 'a table, and not a Strata model', 'predict', '--in', f'model={ours}', '--in', f'table={ours}', '--out',
            f'table={tmp_path}/y.arrow')


def test_a_table_in_a_file_takes_no_memory_of_its_own(tmp_path):
    with open(tmp_path / 'x.csv', 'w', newline='') as f:
        w = csv.writer(f)
        w.writerow([*(f'x{i}' for i in range(20)), 'label'])
        w.writerows([*(i % (k + 2) + 0.5 for k in range(20)), 'a' if i % 3 else 'b'] for i in range(20000))
    ok('read_csv', '--param', f'path={tmp_path}/x.csv', '--out', f'table={tmp_path}/x.arrow')
    ok('logistic_regression', '--in', f'train={tmp_path}/x.arrow', '--param', 'label_col=label', '--param',
       'feature_cols=x0,x1', '--param', 'max_iter=2', '--out', f'model={tmp_path}/m.smdl', memory='2Mi')
    assert (tmp_path / 'x.arrow').stat().st_size > 3 * 1024 * 1024
    done = ml('read_csv', '--param', f'path={tmp_path}/x.csv', '--out', f'table={tmp_path}/y.arrow', memory='2Mi')
    assert done.returncode == 4
