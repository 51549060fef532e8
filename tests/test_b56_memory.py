"""Memory: what a module says it will take is what it takes, and a table larger than the memory is worked on or refused."""
import json
import re
import shlex
import subprocess

import numpy as np
import pytest

from test_b50_algorithms import BUILD, ok, program

MIB = 1 << 20


# A process of its own, since what its parent had counts for a child, too.
MEASURE = """import os, sys
pid = os.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))"""


def peak(words, folder):
    """The most memory that a run had, with what it mapped of its inputs."""
    done = subprocess.run(['/usr/bin/python3', '-I', '-S', '-c', MEASURE, program(), '--progress', 'none', *words],
                          cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)
    return int(done.stdout) * 1024


def write_tables(folder, n):
    """x0 to x7 of numbers, x8 to x15 of whole ones, a of four texts, id of as many as rows, y a number, label of two classes, more for what needs others."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 16))
    y = x[:, 0] + rng.normal(size=n)
    whole = (x[:, 8:] * 1000).astype(int)
    with open(folder / f't{n}.csv', 'w') as f:
        f.write(','.join(f'x{i}' for i in range(16)) + ',a,id,y,label\n')
        rows = zip(x[:, :8].round(6).tolist(), whole.tolist(), rng.integers(4, size=n).tolist(), y.round(4).tolist())
        f.writelines(f'{",".join(map(str, r + w))},c{a},k{i},{v},{"p" if v > 0 else "q"}\n' for i, (r, w, a, v) in enumerate(rows))
    with open(folder / f'r{n}.csv', 'w') as f:
        f.write('user,item,rate,words\n')
        f.writelines(f'u{u},i{i},{1 + i % 5},w{i % 90} w{u % 70} w{(i + u) % 1000}\n'
                     for u, i in zip(rng.integers(n // 20, size=n).tolist(), rng.integers(500, size=n).tolist()))
    for name in 'tr':
        ok('read_csv', '--param', f'path={folder}/{name}{n}.csv', '--out', f'table={folder}/{name}{n}.arrow')
    ok('write_parquet', '--in', f'table={folder}/t{n}.arrow', '--param', f'path={folder}/t{n}.parquet')


@pytest.fixture(scope='module')
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp('memory')
    for n in (200, *{k * s for _, s, *_ in CASES for k in (1, 4)}):
        write_tables(folder, n)
    t = ['--in', 'train=t200.arrow', '--param', 'label_col=label', '--param', 'feature_cols=@numeric,-y']
    ok('logistic_regression', *t, '--out', 'model=m.smdl', cwd=folder)
    ok('standard_scaler', '--in', 'table=t200.arrow', '--param', 'cols=@numeric', '--out', 'transform=s.sxfm', '--out', 'table=o.arrow', cwd=folder)
    return folder


T = '--in table=t{n}.arrow'
L = '--in train=t{n}.arrow --param label_col=label --param feature_cols=@numeric,-y'
Y = '--in train=t{n}.arrow --param label_col=y --param feature_cols=@numeric'
CASES = [  # module, rows, words
    ('read_csv', 30000, '--param path=t{n}.csv'),
    ('read_parquet', 30000, '--param path=t{n}.parquet'),
    ('sort', 30000, f'{T} --param by=x0'),
    ('distinct', 30000, f'{T} --param cols=id'),
    ('join', 30000, '--in left=t{n}.arrow --in right=t{n}.arrow --param keys=id'),
    ('group_by', 30000, f'{T} --param keys=id --param aggs=mean(x0)'),
    ('sql', 10000, '--in t1=t{n}.arrow --param "query=select * from t1 order by x0"'),
    ('append_rows', 30000, '--in first=t{n}.arrow --in second=t{n}.arrow'),
    ('split', 30000, T),
    ('sample', 30000, f'{T} --param fraction=0.9'),
    ('filter_rows', 30000, f'{T} --param "expr=x0 < 2"'),
    ('compute_columns', 30000, f'{T} --param "exprs=z = x0 + x1; zz = x2 * 2"'),
    ('impute', 30000, f'{T} --param cols=@numeric'),
    ('standard_scaler', 30000, f'{T} --param cols=@numeric'),
    ('min_max_scaler', 30000, f'{T} --param cols=@numeric'),
    ('robust_scaler', 30000, f'{T} --param cols=@numeric'),
    ('bin', 30000, f'{T} --param cols=@numeric'),
    ('one_hot', 30000, f'{T} --param cols=a'),
    ('string_index', 30000, f'{T} --param cols=id'),
    ('tfidf', 30000, '--in table=r{n}.arrow --param col=words --param max_features=100'),
    ('pca', 30000, f'{T} --param k=4'),
    ('logistic_regression', 30000, L),
    ('naive_bayes', 30000, L),
    ('knn', 30000, L),
    ('svm_linear', 30000, f'{L} --param max_iter=3'),
    ('svm_rbf', 1500, L),
    ('decision_tree', 30000, L),
    ('random_forest', 8000, f'{L} --param num_trees=20'),
    ('gbdt_classifier', 30000, f'{L} --param num_trees=5'),
    ('gbdt_regressor', 30000, f'{Y} --param num_trees=5'),
    ('mlp', 30000, f'{L} --param epochs=1'),
    ('linear_regression', 30000, Y),
    ('kmeans', 30000, '--in train=t{n}.arrow --param k=8 --param max_iter=5'),
    ('dbscan', 20000, '--in table=t{n}.arrow --param feature_cols=x0,x1 --param epsilon=0.05'),
    ('isolation_forest', 30000, '--in train=t{n}.arrow --param num_trees=20'),
    ('als', 30000, '--in train=r{n}.arrow --param user_col=user --param item_col=item --param rate_col=rate --param num_iter=2'),
    ('fp_growth', 30000, '--in table=r{n}.arrow --param items_col=item --param basket_col=user --param min_support=0.02 --param max_len=2'),
    ('holt_winters', 8000, '--in train=t{n}.arrow --param value_col=y'),
    ('summarize', 30000, T),
    ('correlation', 30000, f'{T} --param cols=@numeric'),
    ('select_columns', 30000, f'{T} --param columns=@numeric'),
    ('edit_columns', 30000, f'{T} --param rename=x0=y0'),
    ('read_arrow', 30000, '--param path=t{n}.arrow'),
    ('apply_transform', 30000, f'{T} --in transform=s.sxfm'),
    ('predict', 30000, f'{T} --in model=m.smdl'),
    ('permutation_importance', 8000, f'{T} --in model=m.smdl'),
    ('tune', 8000, '--in train=t{n}.arrow --param label_col=label --param learner=naive_bayes --param learner_params=feature_cols=@numeric,-y --param space=smoothing=0.1,1 --param mode=grid'),
    ('cross_validate', 8000, '--in train=t{n}.arrow --param label_col=label --param learner=logistic_regression --param learner_params=feature_cols=@numeric,-y'),
]


def test_every_formula_is_made_of_words_that_are_known():
    for m in json.loads(ok('manifest').stdout)['modules']:
        words = {'input', 'rows', 'all_rows', 'columns', 'cells', 'cpus', *(p['name'] for p in m['params'] if p['type'] in ('int', 'real', 'ints'))}
        for formula in (m['memory'], m['memory_spilled']):
            for factor in re.split(r'[*+]', formula):
                assert factor in words or re.fullmatch(r'[0-9.]+([KM]i)?', factor), (m['name'], formula)


@pytest.mark.skipif('san' in BUILD.name, reason='a sanitizer has memory of its own')
@pytest.mark.parametrize('module, rows, words', CASES, ids=[c[0] for c in CASES])
def test_a_module_takes_what_it_says(tables, module, rows, words):
    said, took = [], []
    for n in (200, rows, 4 * rows):
        run = [module, *shlex.split(words.replace('{n}', str(n)))]
        ports = [p['name'] for p in json.loads(ok('manifest', module).stdout)['modules'][0]['outputs']]
        said.append(json.loads(ok('--schema-only', *run, cwd=tables).stdout)['memory'])
        took.append(peak([*run, *(w for p in ports for w in ('--out', f'{p}=out.{p}'))], tables))
        assert took[-1] <= said[-1]

    for n in (1, 2):  # what it grows by with its rows is what is said, within a factor and the noise of an allocator
        grown, told = took[n] - took[0], said[n] - said[0]
        assert grown <= told + 4 * MIB or module == 'svm_rbf'  # whose cache of the kernel is in what all need
        assert told <= 3 * grown + 10 * MIB


def test_items_of_a_recommender_take_what_their_neighbours_take(tmp_path):
    rows = [f'u{k // 3},i{k}' for k in range(150000)]
    (tmp_path / 'in.csv').write_text('u,i\n' + '\n'.join(rows) + '\n')
    ok('read_csv', '--param', 'path=in.csv', '--out', 'table=t.arrow', cwd=tmp_path)
    words = ['item_cf', '--in', 'train=t.arrow', '--param', 'user_col=u', '--param', 'item_col=i', '--param', 'neighbours=500', '--out', 'model=m.bin']
    said = json.loads(ok('--schema-only', *words, cwd=tmp_path).stdout)['memory']
    took = peak(words, tmp_path)
    assert took <= said and took < 200 * MIB  # room for 500 of each item: 1.2 GB


def test_what_a_source_takes_is_told_from_its_files(tmp_path):
    (tmp_path / 'd').mkdir()
    for k in range(4):
        (tmp_path / f'd/{k}.csv').write_text('a,b\n' + ''.join(f'{i},x{i}\n' for i in range(k * 50000, k * 50000 + 50000)))
    (tmp_path / 't.jsonl').write_text(''.join(f'{{"a":"t{i}"}}\n' for i in range(800000)))
    np.save(tmp_path / 't.npy', np.array([f'{i:07d}' for i in range(800000)], dtype='S7'))
    for words in (['read_csv', '--param', 'path=d'], ['read_csv', '--param', 'path=d/*.csv'], ['read_jsonl', '--param', 'path=t.jsonl'], ['read_npy', '--param', 'path=t.npy']):
        words += ['--out', 'table=o.arrow']
        said = json.loads(ok('--schema-only', *words, cwd=tmp_path).stdout)['memory']
        assert said > 65 * MIB and peak(words, tmp_path) <= said, words


def test_sparse_rows_take_room_for_every_column(tmp_path):
    """A table has a cell for each key that any row has."""
    keys = [(i * 7919 + j * 104729) % 1500 for i in range(12000) for j in range(3)]
    (tmp_path / 's.jsonl').write_text(''.join(f'{{"k{keys[3 * i]}":{i},"k{keys[3 * i + 1]}":1,"k{keys[3 * i + 2]}":2}}\n' for i in range(12000)))
    (tmp_path / 's.svm').write_text(''.join('1 ' + ' '.join(f'{k + 1}:1' for k in sorted(set(keys[3 * i:3 * i + 3]))) + '\n' for i in range(12000)))
    for words in (['read_jsonl', '--param', 'path=s.jsonl'], ['read_libsvm', '--param', 'path=s.svm']):
        said = json.loads(ok('--schema-only', *words, cwd=tmp_path).stdout)['memory']
        assert peak([*words, '--out', 'table=t.arrow'], tmp_path) <= said, (words, said)
