#!/usr/bin/python3
"""CPU seconds of strata-ml against scikit-learn and pandas on the same data in the same run.

    bench/ml.py [--quick]        prints ratios; below 1 means less CPU than the peer

Each pair is run in turns (A B A B ...), one process each, one thread each. Ours is the whole
process: start, reading the table, training, prediction, evaluation. Theirs is counted from after
the imports: loading an npy file, training, prediction. Medians of the rounds; quality beside it.
"""
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get('STRATA_BUILD', ROOT / 'build')).resolve()
ML = next(str(p) for p in (BUILD / 'strata-ml', BUILD / 'src/algorithms/strata-ml') if p.exists())
ONE = {**os.environ, 'OPENBLAS_NUM_THREADS': '1', 'OMP_NUM_THREADS': '1', 'STRATA_THREADS': '1'}
ROUNDS = 5


def cpu(command, **kwargs):
    """CPU seconds of a child, and its output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=ONE, check=True, capture_output=True, text=True, **kwargs)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), done.stdout


def data(folder, rows, columns, classes):
    """Overlapping clouds with some curvature, as npy and as Strata table; a held-out tenth."""
    import numpy as np
    rng = np.random.RandomState(1)
    centres = rng.normal(size=(classes, columns))
    y = rng.randint(classes, size=rows)
    x = (centres[y] * 0.35 + rng.normal(size=(rows, columns))).astype(np.float32)
    x[:, 0] *= np.abs(x[:, 1])
    cut = rows - rows // 10
    for name, part in (('a', slice(0, cut)), ('b', slice(cut, rows))):
        np.save(folder / f'{name}_x.npy', x[part])
        np.save(folder / f'{name}_y.npy', y[part])
        with open(folder / f'{name}.csv', 'w') as f:
            f.write(','.join([f'x{j}' for j in range(columns)] + ['label']) + '\n')
            for row, k in zip(x[part], y[part]):
                f.write(','.join(['%.7g' % v for v in row] + [str(k)]) + '\n')
        subprocess.run([ML, 'read_csv', '--param', f'path={folder}/{name}.csv', '--out',
                        f'table={folder}/{name}.arrow'], check=True, stdout=subprocess.DEVNULL)


PEER = '''
import time, warnings, numpy as np
{prepare}
warnings.simplefilter('ignore')
start = time.process_time()
x, y = np.load('a_x.npy').astype(np.{kind}), np.load('a_y.npy')
m = {model}
m.fit(x, y)
score = m.score(np.load('b_x.npy').astype(np.{kind}), np.load('b_y.npy'))
print(time.process_time() - start, score, np.ravel(getattr(m, 'n_iter_', 0))[0])
'''


def peer(folder, prepare, model, kind):
    code = PEER.format(prepare=prepare, model=model, kind=kind)
    _, out = cpu([sys.executable, '-c', code], cwd=folder)
    return tuple(map(float, out.split()[:2]))


def ours(folder, step):
    busy, out = cpu([ML, 'chain', f'{step} --in train=./a.arrow --param label_col=label --out model=m',
                     'predict --in model=m --in table=./b.arrow --out table=p --param keep_cols=label',
                     'evaluate_multiclass --in table=p --param label_col=label'], cwd=folder)
    metric = [json.loads(line) for line in out.splitlines() if '"metric"' in line]
    return busy, metric[0]['metric']['accuracy']


TABLES = '''
import time, numpy as np, pandas as pd
t, u = pd.read_pickle('t.pickle'), pd.read_pickle('u.pickle')
start = time.process_time()
out = {peer}
print(time.process_time() - start, len(out))
'''

# name, goal, ours over t (and u), pandas over the same
TABLE_JOBS = [
    ('filter_rows', 1.0, "filter_rows --in table=./t.arrow --param 'expr=x > 0.5 and city != \"c7\"' --out table=p",
     't[(t.x > 0.5) & (t.city != "c7")]'),
    ('compute_columns', 1.0, "compute_columns --in table=./t.arrow --param 'exprs=z = x * y + sqrt(abs(x)); w = if(x > y, x, y)' --out table=p",
     't.assign(z=t.x * t.y + np.sqrt(t.x.abs()), w=np.where(t.x > t.y, t.x, t.y))'),
    ('group_by text', 1.0, "group_by --in table=./t.arrow --param keys=city --param 'aggs=count(), mean(x), max(y)' --out table=p",
     't.groupby("city").agg(n=("x", "size"), x=("x", "mean"), y=("y", "max"))'),
    ('group_by 100,000 keys', 1.0, "group_by --in table=./t.arrow --param keys=k --param 'aggs=mean(x), median(y)' --out table=p",
     't.groupby("k").agg(x=("x", "mean"), y=("y", "median"))'),
    ('join', 1.0, 'join --in left=./t.arrow --in right=./u.arrow --param keys=k --out table=p', 't.merge(u, on="k")'),
    ('sort', 1.0, "sort --in table=./t.arrow --param 'by=city, x desc' --out table=p",
     't.sort_values(["city", "x"], ascending=[True, False], kind="stable")'),
    ('distinct', 1.0, 'distinct --in table=./t.arrow --param cols=k,city --out table=p', 't.drop_duplicates(["k", "city"])'),
    ('one_hot', 1.0, 'one_hot --in table=./t.arrow --param cols=city --out table=p', 'pd.get_dummies(t, columns=["city"], dtype=float)'),
    ('impute median', 1.0, 'impute --in table=./t.arrow --param cols=x,y --param strategy=median --out table=p',
     't.fillna({"x": t.x.median(), "y": t.y.median()})'),
]


def table_data(folder, rows):
    """A table of numbers, whole numbers and texts, and one of its keys, as pickle and as Arrow file."""
    import numpy as np
    import pandas as pd
    rng = np.random.RandomState(2)
    t = pd.DataFrame({'k': rng.randint(rows // 10, size=rows), 'city': [f'c{i}' for i in rng.randint(50, size=rows)],
                      'x': rng.normal(size=rows).round(6), 'y': rng.normal(size=rows).round(6)})
    u = pd.DataFrame({'k': rng.permutation(rows // 10), 'v': rng.normal(size=rows // 10).round(6)})
    for name, table in (('t', t), ('u', u)):
        table.to_pickle(folder / f'{name}.pickle')
        table.to_csv(folder / f'{name}.csv', index=False)
        subprocess.run([ML, 'read_csv', '--param', f'path={folder}/{name}.csv', '--out', f'table={folder}/{name}.arrow'],
                       check=True, stdout=subprocess.DEVNULL)


def tables(folder, rows):
    table_data(folder, rows)
    good = []
    for name, goal, step, peer_code in TABLE_JOBS:
        def mine():
            busy, _ = cpu([ML, 'chain', step], cwd=folder)
            return busy, 0

        def theirs():
            _, out = cpu([sys.executable, '-c', TABLES.format(peer=peer_code)], cwd=folder)
            return float(out.split()[0]), 0

        good.append(compare(f'{name}, {rows} rows', mine, theirs, goal))
    return good


UNTOLD = '''
import time, warnings, numpy as np
{prepare}
warnings.simplefilter('ignore')
start = time.process_time()
x = np.load('a_x.npy').astype(np.float64)
m = {model}
m.fit(x)
print(time.process_time() - start, {quality})
'''


def untold_peer(folder, prepare, model, quality):
    code = UNTOLD.format(prepare=prepare, model=model, quality=quality)
    return tuple(map(float, cpu([sys.executable, '-c', code], cwd=folder)[1].split()))


def untold(folder, words, metric):
    busy, out = cpu([ML, *words.split()], cwd=folder)
    return busy, [json.loads(line)['metric'][metric] for line in out.splitlines() if '"metric"' in line][0]


def compare(name, mine, theirs, goal):
    a, b = [], []
    for _ in range(ROUNDS):
        a.append(mine())
        b.append(theirs())
    ca, cb = statistics.median(x[0] for x in a), statistics.median(x[0] for x in b)
    print(f'{name:44} CPU ratio {ca / cb:5.2f} (goal <= {goal:4.2f})   {ca:6.2f} s : {cb:6.2f} s   '
          f'quality {a[0][1]:.6g} : {b[0][1]:.6g}', flush=True)
    return ca / cb <= goal


def main():
    small = '--quick' in sys.argv
    good = []
    with tempfile.TemporaryDirectory(prefix='strata-ml-bench-') as name:
        folder = pathlib.Path(name)
        rows = 50_000 if small else 500_000
        for classes, goal in ((2, 0.5), (10, 0.5)):
            data(folder, rows // (1 if classes == 2 else 5), 28, classes)
            good.append(compare(
                f'logistic_regression, {rows // (1 if classes == 2 else 5)} x 28, {classes} classes',
                lambda: ours(folder, 'logistic_regression --param standardize=false '
                                     '--param l2=0.0001'),
                lambda: peer(folder, 'from sklearn.linear_model import LogisticRegression',
                             'LogisticRegression(C=1 / (1e-4 * len(x)), max_iter=200)',
                             'float64'), goal))
        good.append(compare(
            f'kmeans, {rows // 5} x 28, 20 clusters, 20 iterations',
            lambda: untold(folder, 'kmeans --in train=./a.stbl --param feature_cols=@numeric,-label --param k=20 --param n_init=1 '
                                   '--param max_iter=20 --param epsilon=0 --out model=./m.smdl', 'inertia'),
            lambda: untold_peer(folder, 'from sklearn.cluster import KMeans', 'KMeans(20, n_init=1, max_iter=20, tol=0)', 'm.inertia_'),
            0.8))
        good.append(compare(
            f'pca, {rows // 5} x 28, 10 components',
            lambda: untold(folder, 'pca --in table=./a.stbl --param cols=@numeric,-label --param k=10 --out transform=./x.sxfm', 'variance_kept'),
            lambda: untold_peer(folder, 'from sklearn.decomposition import PCA', 'PCA(10, svd_solver="full")',
                                'm.explained_variance_ratio_.sum()'), 0.1))
        data(folder, rows // 20, 196, 10)
        good.append(compare(
            f'mlp, {rows // 20} x 196 - 128 - 10, 10 epochs',
            lambda: ours(folder, 'mlp --param layers=128 --param epochs=10 --param batch=128'),
            lambda: peer(folder, 'from sklearn.neural_network import MLPClassifier',
                         'MLPClassifier((128,), batch_size=128, max_iter=10, n_iter_no_change=99)',
                         'float32'),
            0.5))
        good.append(compare(
            f'knn, {rows // 20 * 9 // 10} x 196, {rows // 200} asked',
            lambda: ours(folder, 'knn --param k=5'),
            lambda: peer(folder, 'from sklearn.neighbors import KNeighborsClassifier',
                         "KNeighborsClassifier(5, algorithm='brute')", 'float32'), 0.5))
        good.append(compare(
            f'naive_bayes, {rows // 20 * 9 // 10} x 196',
            lambda: ours(folder, 'naive_bayes'),
            lambda: peer(folder, 'from sklearn.naive_bayes import GaussianNB', 'GaussianNB()',
                         'float64'), 1))
        good.append(compare(
            f'svm_linear, {rows // 20 * 9 // 10} x 196',
            lambda: ours(folder, 'svm_linear --param C=0.01'),
            lambda: peer(folder, 'from sklearn.svm import LinearSVC', 'LinearSVC(C=0.01)',
                         'float64'), 1))
        good += tables(folder, rows * 2)
        data(folder, rows // 5, 28, 2)
        tree_jobs = [
            ('gbdt_classifier, 100 trees depth 6', 'gbdt_classifier --param feature_cols=@numeric',
             'from xgboost import XGBClassifier',
             'type("X", (XGBClassifier,), {"n_iter_": 100})(tree_method="hist", n_estimators=100, '
             'max_depth=6, learning_rate=0.1, n_jobs=1)', 1.2),
            ('random_forest, 20 trees', 'random_forest --param num_trees=20 --param min_samples_leaf=5',
             'from sklearn.ensemble import RandomForestClassifier',
             'type("X", (RandomForestClassifier,), {"n_iter_": 20})(20, min_samples_leaf=5)', 0.3)]
        for what, step, prepare, model, goal in tree_jobs:
            good.append(compare(f'{what}, {rows // 5} x 28', lambda: ours(folder, step),
                                lambda: peer(folder, prepare, model, 'float32'), goal))
        start = [statistics.median(cpu([*words])[0] for _ in range(20)) for words in
                 ([ML, 'version'], [sys.executable, '-c', 'import sklearn.linear_model'])]
        print(f'{"start of a step":44} CPU ratio {start[0] / start[1]:5.3f}                 '
              f'{start[0] * 1000:6.1f} ms : {start[1] * 1000:6.1f} ms')
    return 0 if all(good) else 1


if __name__ == '__main__':
    sys.exit(main())
