#!/usr/bin/python3
"""CPU seconds and peak memory of strata-ml against scikit-learn, XGBoost and pandas on the same data
in the same run.

    bench/ml.py [--quick] [--rounds N] [WORD ...]     prints ratios; below 1 means less than the peer

WORDs choose: only what has one of them in its name. Each pair is run in turns (A B A B ...), one
process each, one thread each. Ours is the whole process: start, reading the table, training,
prediction, evaluation. Theirs is counted from after the imports: loading an npy file, training,
prediction. The ratio is the median of those of the pairs; quality beside it. Memory is the peak of
the whole process on both sides.
"""
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get('STRATA_BUILD', ROOT / 'build')).resolve()
ML = next(str(p) for p in (BUILD / 'strata-ml', BUILD / 'src/algorithms/strata-ml') if p.exists())
ONE = {**os.environ, 'OPENBLAS_NUM_THREADS': '1', 'OMP_NUM_THREADS': '1', 'STRATA_THREADS': '1'}
MEMORY_GOAL = 0.6


def option(name, default):
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


ROUNDS = option('--rounds', 5)
WORDS = [w for i, w in enumerate(sys.argv) if i > 0 and w[0] != '-' and sys.argv[i - 1] != '--rounds']


def wanted(name):
    return not WORDS or any(w in name for w in WORDS)


def usage(command, **kwargs):
    """CPU seconds of a child, its peak memory in MB, and its output."""
    with subprocess.Popen(command, env=ONE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **kwargs) as child:
        out = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command, out)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, out


def cpu(command, **kwargs):
    busy, _, out = usage(command, **kwargs)
    return busy, out


def apart(make, *args):
    """In a process of its own: a child that begins as a copy of a large parent has its peak of memory already."""
    child = os.fork()
    if child == 0:
        try:
            make(*args)
        except BaseException:  # whatever it is, the child ends here
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise SystemExit('the data could not be made')


def save(folder, name, x, y):
    """Rows as npy for the peer, as a table for us."""
    import numpy as np
    import pandas as pd
    np.save(folder / f'{name}_x.npy', x)
    np.save(folder / f'{name}_y.npy', y)
    table = pd.DataFrame(x, columns=[f'x{j}' for j in range(x.shape[1])])
    table.assign(label=y).to_csv(folder / f'{name}.csv', index=False)
    subprocess.run([ML, 'read_csv', '--param', f'path={folder}/{name}.csv', '--out', f'table={folder}/{name}.arrow'],
                   check=True, stdout=subprocess.DEVNULL)
    (folder / f'{name}.csv').unlink()


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
        save(folder, name, x[part], y[part])


def mislabelled(folder, rows, columns):
    """Two classes that a plane parts, but for a tenth of the labels; a tenth more rows to judge by."""
    import numpy as np
    rng = np.random.RandomState(6)
    x = rng.normal(size=(rows + rows // 10, columns)).astype(np.float32)
    y = (x @ rng.normal(size=columns) > 0) != (rng.rand(len(x)) < 0.1)
    for name, part in (('a', slice(0, rows)), ('b', slice(rows, None))):
        save(folder, name, x[part], y[part].astype(int))


def tangled(folder, rows):
    """Two classes by 28 features, some alone, some together, most of them noise; a tenth more to judge by."""
    import numpy as np
    rng = np.random.default_rng(5)
    x = rng.standard_normal((rows + rows // 10, 28), dtype=np.float32)
    x[:, 7] = np.abs(x[:, 7])
    x[:, 8] = np.exp(x[:, 8])
    x[:, 9] = np.round(x[:, 9] * 2) / 2
    x[:, 5] = x[:, 0] + 0.5 * x[:, 5]
    z = (0.5 * x[:, 0] - 0.3 * x[:, 1] + 0.6 * x[:, 2] * x[:, 3] + 0.5 * np.sin(2 * x[:, 4]) - 0.2 * x[:, 8]
         + 0.4 * (x[:, 6] > 0.3) * x[:, 7] + 0.3 * x[:, 9] * (x[:, 10] > 0) + 0.35 * x[:, 11] * x[:, 12] * x[:, 13])
    y = (rng.random(len(x)) < 1 / (1 + np.exp(np.median(z) - z))).astype(np.int64)
    save(folder, 'a', x[:rows], y[:rows])
    save(folder, 'b', x[rows:], y[rows:])


PEER = '''
import time, warnings, numpy as np
{prepare}
warnings.simplefilter('ignore')
start = time.process_time()
x, y = np.load('a_x.npy').astype(np.{kind}), np.load('a_y.npy')
m = {model}
m.fit(x, y)
b, y = np.load('b_x.npy').astype(np.{kind}), np.load('b_y.npy')
if '{judge}' == 'auc':
    from sklearn.metrics import roc_auc_score
    score = roc_auc_score(y, m.predict_proba(b)[:, 1])
else:
    score = m.score(b, y)
print(time.process_time() - start, score, np.ravel(getattr(m, 'n_iter_', 0))[0])
'''


def peer(folder, prepare, model, kind, judge='accuracy'):
    code = PEER.format(prepare=prepare, model=model, kind=kind, judge=judge)
    _, peak, out = usage([sys.executable, '-c', code], cwd=folder)
    return (*map(float, out.split()[:2]), peak)


def ours(folder, step, judge='accuracy'):
    evaluate = {'auc': 'evaluate_binary --param prob_col=prob_1', 'accuracy': 'evaluate_multiclass'}[judge]
    busy, peak, out = usage([ML, 'chain', f'{step} --in train=./a.arrow --param label_col=label --out model=m',
                             'predict --in model=m --in table=./b.arrow --out table=p --param keep_cols=label',
                             f'{evaluate} --in table=p --param label_col=label'], cwd=folder)
    metric = [json.loads(line) for line in out.splitlines() if '"metric"' in line]
    return busy, metric[0]['metric'][judge], peak


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
    good = []
    if any(wanted(f'{name}, {rows} rows') for name, *_ in TABLE_JOBS):
        apart(table_data, folder, rows)
    for name, goal, step, peer_code in TABLE_JOBS:
        def mine():
            busy, peak, _ = usage([ML, 'chain', step], cwd=folder)
            return busy, 0, peak

        def theirs():
            _, peak, out = usage([sys.executable, '-c', TABLES.format(peer=peer_code)], cwd=folder)
            return float(out.split()[0]), 0, peak

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
    _, peak, out = usage([sys.executable, '-c', code], cwd=folder)
    return (*map(float, out.split()), peak)


def untold(folder, words, metric):
    busy, peak, out = usage([ML, *words.split()], cwd=folder)
    return busy, [json.loads(line)['metric'][metric] for line in out.splitlines() if '"metric"' in line][0], peak


def compare(name, mine, theirs, goal):
    """Turns of both, each giving seconds, quality and, if it is known, the peak of memory."""
    if not wanted(name):
        return True
    a, b = [], []
    for _ in range(ROUNDS):
        a.append(mine())
        b.append(theirs())
    ratio = statistics.median(x[0] / y[0] for x, y in zip(a, b))
    ca, cb = statistics.median(x[0] for x in a), statistics.median(x[0] for x in b)
    print(f'{name:50} CPU ratio {ratio:5.2f} (goal <= {goal:4.2f})   {ca:6.2f} s : {cb:6.2f} s   '
          f'quality {a[0][1]:.6g} : {b[0][1]:.6g}', flush=True)
    if len(a[0]) < 3:
        return ratio <= goal
    pa, pb = max(x[2] for x in a), max(x[2] for x in b)
    print(f'{name + ", memory":50} peak ratio {pa / pb:4.2f} (goal <= {MEMORY_GOAL:4.2f})   {pa:5.0f} MB : {pb:5.0f} MB', flush=True)
    return ratio <= goal and pa / pb <= MEMORY_GOAL


# name, goal, ours, imports and model of the peer, what the matrix is for it
TOLD = [
    ('gbdt_classifier, 100 trees depth 6', 1.2, 'gbdt_classifier', 'from xgboost import XGBClassifier',
     'XGBClassifier(tree_method="hist", n_estimators=100, max_depth=6, learning_rate=0.1, n_jobs=1)', 'float32'),
    ('logistic_regression, 2 classes', 0.5, 'logistic_regression --param standardize=false --param l2=0.0001',
     'from sklearn.linear_model import LogisticRegression', 'LogisticRegression(C=1 / (1e-4 * len(x)), max_iter=200)', 'float64'),
]


def large(folder, rows):
    """What the research was measured on: a million rows."""
    good, size = [], f'{rows} x 28'
    if not any(wanted(f'{n}, {size}') for n in (*(t[0] for t in TOLD), 'kmeans, 20 clusters, 20 iterations', 'pca, 10 components')):
        return good
    apart(tangled, folder, rows)
    for name, goal, step, prepare, model, kind in TOLD:
        good.append(compare(f'{name}, {size}', lambda: ours(folder, step, 'auc'),
                            lambda: peer(folder, prepare, model, kind, 'auc'), goal))
    good.append(compare(
        f'kmeans, 20 clusters, 20 iterations, {size}',
        lambda: untold(folder, 'kmeans --in train=./a.arrow --param feature_cols=@numeric,-label --param k=20 --param n_init=1 '
                               '--param max_iter=20 --param epsilon=0 --out model=./m.smdl', 'inertia'),
        lambda: untold_peer(folder, 'from sklearn.cluster import KMeans', 'KMeans(20, n_init=1, max_iter=20, tol=0)', 'm.inertia_'),
        0.8))
    good.append(compare(
        f'pca, 10 components, {size}',
        lambda: untold(folder, 'pca --in table=./a.arrow --param cols=@numeric,-label --param k=10 --out transform=./x.sxfm', 'variance_kept'),
        lambda: untold_peer(folder, 'from sklearn.decomposition import PCA', 'PCA(10, svd_solver="full")',
                            'm.explained_variance_ratio_.sum()'), 0.1))
    return good


# name, goal, ours, imports and model of the peer, what the matrix is for it; over many features
WIDE = [
    ('mlp, 128 hidden, 10 epochs', 0.5, 'mlp --param layers=128 --param epochs=10 --param batch=128',
     'from sklearn.neural_network import MLPClassifier',
     'MLPClassifier((128,), batch_size=128, max_iter=10, n_iter_no_change=99)', 'float32'),
    ('knn', 0.5, 'knn --param k=5', 'from sklearn.neighbors import KNeighborsClassifier',
     "KNeighborsClassifier(5, algorithm='brute')", 'float32'),
    ('naive_bayes', 1, 'naive_bayes', 'from sklearn.naive_bayes import GaussianNB', 'GaussianNB()', 'float64'),
    ('svm_linear', 1, 'svm_linear --param C=0.01', 'from sklearn.svm import LinearSVC', 'LinearSVC(C=0.01)', 'float64'),
]


STRANGE = '''
import time, warnings, numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
warnings.simplefilter('ignore')
start = time.process_time()
x, y = np.load('a_x.npy'), np.load('a_y.npy')
m = IsolationForest(n_estimators=100, max_samples=256, n_jobs=1, random_state=0).fit(x)
auc = roc_auc_score(y, -m.score_samples(x))
print(time.process_time() - start, auc)
'''


def strange_data(folder, rows):
    """Of a hundred rows one from elsewhere, close enough to be mistaken."""
    import numpy as np
    rng = np.random.default_rng(7)
    x = rng.standard_normal((rows, 28), dtype=np.float32)
    y = (rng.random(rows) < 0.01).astype(np.int64)
    x[y == 1] += rng.choice([-1.2, 0, 1.2], size=(int(y.sum()), 28)).astype(np.float32)
    save(folder, 'a', x, y)


def strange(folder, rows):
    """Isolation forest: learned and scored over the same rows."""
    name = f'isolation_forest, 100 trees of 256, {rows} x 28'
    if not wanted(name):
        return []
    apart(strange_data, folder, rows)

    def mine():
        busy, peak, out = usage([ML, 'chain', 'isolation_forest --in train=./a.arrow --param feature_cols=@numeric,-label --out model=m',
                                 'predict --in model=m --in table=./a.arrow --out table=p --param keep_cols=label',
                                 'evaluate_binary --in table=p --param label_col=label --param prob_col=anomaly_score'], cwd=folder)
        return busy, next(json.loads(line)['metric']['auc'] for line in out.splitlines() if '"metric"' in line), peak

    def theirs():
        _, peak, out = usage([sys.executable, '-c', STRANGE], cwd=folder)
        return (*map(float, out.split()), peak)
    return [compare(name, mine, theirs, 0.3)]


def wide(folder, rows):
    good, size = [], f'{rows * 9 // 10} x 196'
    if any(wanted(f'{t[0]}, {size}') for t in WIDE):
        apart(data, folder, rows, 196, 10)
    for name, goal, step, prepare, model, kind in WIDE:
        good.append(compare(f'{name}, {size}', lambda: ours(folder, step), lambda: peer(folder, prepare, model, kind), goal))
    return good


def clouds(folder, rows):
    """Where a hundred thousand rows are enough."""
    good, size = [], f'{rows * 9 // 10} x 28'
    jobs = [('logistic_regression, 10 classes', 10, 'logistic_regression --param standardize=false --param l2=0.0001',
             'from sklearn.linear_model import LogisticRegression',
             'LogisticRegression(C=1 / (1e-4 * len(x)), max_iter=200)', 'float64', 0.5),
            ('random_forest, 20 trees', 2, 'random_forest --param num_trees=20 --param min_samples_leaf=5',
             'from sklearn.ensemble import RandomForestClassifier', 'RandomForestClassifier(20, min_samples_leaf=5)', 'float32', 0.3)]
    for name, classes, step, prepare, model, kind, goal in jobs:
        if wanted(f'{name}, {size}'):
            apart(data, folder, rows, 28, classes)
        good.append(compare(f'{name}, {size}', lambda: ours(folder, step), lambda: peer(folder, prepare, model, kind), goal))
    return good


def hard(folder, rows):
    """A thousand classes; labels of which a tenth are wrong."""
    good, many, wrong = [], f'random_forest, 10 trees, 1000 classes, {rows} x 10', f'svm_linear, a tenth wrong, {rows} x 20'
    if wanted(many):
        apart(data, folder, rows * 10 // 9, 10, 1000)
        good.append(compare(many, lambda: ours(folder, 'random_forest --param num_trees=10'),
                            lambda: peer(folder, 'from sklearn.ensemble import RandomForestClassifier', 'RandomForestClassifier(10)', 'float32'), 1))
    if wanted(wrong):
        apart(mislabelled, folder, rows, 20)
        good.append(compare(wrong, lambda: ours(folder, 'svm_linear'),
                            lambda: peer(folder, 'from sklearn.svm import LinearSVC', 'LinearSVC()', 'float64'), 0.5))
    return good


def start_of_a_step():
    if not wanted('start of a step'):
        return
    start = [statistics.median(cpu([*words])[0] for _ in range(20)) for words in
             ([ML, 'version'], [sys.executable, '-c', 'import sklearn.linear_model'])]
    print(f'{"start of a step":50} CPU ratio {start[0] / start[1]:5.3f}                 '
          f'{start[0] * 1000:6.1f} ms : {start[1] * 1000:6.1f} ms')


def main():
    small = '--quick' in sys.argv
    good = []
    with tempfile.TemporaryDirectory(prefix='strata-ml-bench-') as name:
        folder = pathlib.Path(name)
        good += large(folder, 100_000 if small else 1_000_000)
        good += strange(folder, 100_000 if small else 1_000_000)
        good += clouds(folder, 10_000 if small else 100_000)
        good += wide(folder, 2_500 if small else 25_000)
        good += hard(folder, 2_000 if small else 20_000)
        good += tables(folder, 100_000 if small else 1_000_000)
        start_of_a_step()
    return 0 if all(good) else 1


if __name__ == '__main__':
    sys.exit(main())
