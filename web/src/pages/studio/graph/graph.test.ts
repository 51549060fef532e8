import { describe, expect, it } from 'vitest';
import type { Doc, Module, Port } from '../../../api/studio';
import { columnsInto, countOf } from './columns';
import { applyFix, putBetween, refusalOf } from './connections';
import { diff, diffHead, union } from './diff';
import { addNode, connect, copyOf, disconnect, edgesOf, freeId, modulesOf, moveNodes, paste, removeNodes, renameNode, setParam, upstream } from './document';
import { historyOf, push, redo, undo } from './history';
import { layersOf, layout, nodeHeight, placed } from './layout';
import { readYaml, writeYaml } from './yaml';

const portOf = (p: string): Port => ({ name: p.split(':')[0] as string, type: (p.split(':')[1] ?? 'table') as 'table', optional: false, help: '' });

const module = (name: string, inputs: string[], outputs: string[]): Module => ({
  name,
  title: name,
  description: '',
  category: 'transform',
  version: '1.0.0',
  kind: 'native',
  light: true,
  memory: '',
  deterministic: true,
  inputs: inputs.map(portOf),
  outputs: outputs.map(portOf),
  params: [],
});

const modules = modulesOf([
  module('read_csv', [], ['table']),
  module('split', ['table'], ['train', 'test']),
  module('one_hot', ['table'], ['table', 'transform:transform']),
  module('learn', ['train'], ['model:model']),
  module('predict', ['model:model', 'table'], ['table']),
  module('evaluate', ['table'], ['report:report']),
]);

const doc: Doc = {
  pipeline: 1,
  nodes: {
    read: { module: 'read_csv', params: { path: 'data:a.csv' } },
    split: { module: 'split', inputs: { table: 'read.table' } },
    learn: { module: 'learn', inputs: { train: 'split.train' } },
    judge: { module: 'evaluate' },
  },
};

describe('a document', () => {
  it('keeps what did not change as the same object', () => {
    const next = setParam(doc, 'read', 'path', 'data:b.csv');
    expect(next.nodes.split).toBe(doc.nodes.split);
    expect(next.nodes.read?.params).toEqual({ path: 'data:b.csv' });
    expect(setParam(next, 'read', 'path', undefined).nodes.read).toEqual({ module: 'read_csv' });
    expect(doc.nodes.read?.params?.path).toBe('data:a.csv');
  });

  it('gives new nodes ids that are free', () => {
    const [one, first] = addNode(doc, 'split', [10.4, 3]);
    expect(first).toBe('split_2');
    expect(one.nodes.split_2).toEqual({ module: 'split', at: [10, 3] });
    expect(freeId(doc, '9 Lives!')).toBe('lives_');
    expect(freeId(doc, 'constructor')).toBe('constructor');
  });

  it('follows a node to its new id, and forgets one that is removed', () => {
    const renamed = renameNode(doc, 'split', 'parts');
    expect(Object.keys(renamed.nodes)).toEqual(['read', 'parts', 'learn', 'judge']);
    expect(renamed.nodes.learn?.inputs).toEqual({ train: 'parts.train' });
    expect(renameNode(doc, 'split', 'read')).toBe(doc);
    expect(renameNode(doc, 'split', 'Not An Id')).toBe(doc);
    const removed = removeNodes(doc, new Set(['split']));
    expect(removed.nodes.learn).toEqual({ module: 'learn' });
    expect(edgesOf(removed)).toEqual([]);
  });

  it('is copied with the connections among what is copied, into any other', () => {
    const copied = copyOf(doc, new Set(['split', 'learn']));
    const [here, ids] = paste(doc, copied, [20, 20]);
    expect(ids).toEqual(['split_2', 'learn_2']);
    expect(here.nodes.learn_2?.inputs).toEqual({ train: 'split_2.train' });
    expect(here.nodes.split_2?.inputs).toEqual({ table: 'read.table' });
    const [there] = paste({ pipeline: 1, nodes: {} }, copied, [0, 0]);
    expect(there.nodes.split).toEqual({ module: 'split' });
    expect(there.nodes.learn?.inputs).toEqual({ train: 'split.train' });
  });

  it('connects and disconnects', () => {
    const on = connect(doc, { source: 'split', sourcePort: 'test', target: 'judge', targetPort: 'table' });
    expect(on.nodes.judge?.inputs).toEqual({ table: 'split.test' });
    expect(disconnect(on, 'judge', 'table')).toEqual(doc);
    expect([...upstream(on, 'judge')].sort()).toEqual(['judge', 'read', 'split']);
  });
});

describe('a connection', () => {
  it('is refused with its reason, and modules that would mend it', () => {
    const e = { source: 'learn', sourcePort: 'model', target: 'judge', targetPort: 'table' };
    const refusal = refusalOf(doc, modules, e);
    expect(refusal).toMatchObject({ why: 'type', from: 'model', to: 'table' });
    expect(refusal?.why === 'type' && refusal.between.map((m) => m.name)).toEqual(['predict']);
    const [mended, id] = putBetween(doc, modules, e, 'predict') as [Doc, string];
    expect(mended.nodes[id]?.inputs).toEqual({ model: 'learn.model' });
    expect(mended.nodes.judge?.inputs).toEqual({ table: 'predict.table' });
  });

  it('that closes a circle is refused; one that fits is not', () => {
    const [with_, id] = addNode(doc, 'one_hot', [0, 0], { inputs: { table: 'split.train' } });
    expect(refusalOf(with_, modules, { source: id, sourcePort: 'table', target: 'split', targetPort: 'table' })).toMatchObject({ why: 'cycle' });
    expect(refusalOf(with_, modules, { source: id, sourcePort: 'table', target: id, targetPort: 'table' })).toEqual({ why: 'itself' });
    expect(refusalOf(with_, modules, { source: id, sourcePort: 'table', target: 'judge', targetPort: 'table' })).toBeNull();
    expect(refusalOf(with_, modules, { source: id, sourcePort: 'none', target: 'judge', targetPort: 'table' })).toEqual({ why: 'unknown' });
  });

  it('is mended as the server proposes', () => {
    const fix = { text: 'put one_hot in between', insert: { module: 'one_hot', port: 'train', params: { cols: 'city' } } };
    const mended = applyFix(doc, modules, { node: 'learn', port: 'train', message: '', fix }) as Doc;
    expect(mended.nodes.one_hot).toMatchObject({ module: 'one_hot', params: { cols: 'city' }, inputs: { table: 'split.train' } });
    expect(mended.nodes.learn?.inputs).toEqual({ train: 'one_hot.table' });
    expect(applyFix(doc, modules, { node: 'judge', message: '', fix })).toBeNull();
    const named = setParam(doc, 'learn', 'feature_cols', 'age,city');
    const columns = ['age', 'row'].map((name) => ({ name, type: 'int' }));
    const takes = applyFix(named, modules, { node: 'learn', port: 'train', param: 'feature_cols', column: 'city', message: '', fix }, columns) as Doc;
    expect(takes.nodes.learn?.params?.feature_cols).toBe('@numeric,-row'); // city is city_Taipei now, or whatever there is
    const param = applyFix(doc, modules, { node: 'read', message: '', fix: { text: '', param: { name: 'header', value: 'no' } } });
    expect(param?.nodes.read?.params).toEqual({ path: 'data:a.csv', header: 'no' });
  });
});

describe('the history', () => {
  it('goes back and forth; typing into one field is one step', () => {
    let h = historyOf(1);
    h = push(h, 2, 'title');
    h = push(h, 3, 'title');
    h = push(h, 4, 'other');
    expect(undo(h).now).toBe(3);
    expect(undo(undo(h)).now).toBe(1);
    expect(redo(undo(h)).now).toBe(4);
    expect(push(undo(h), 9).future).toEqual([]);
    expect(undo(historyOf(1)).now).toBe(1);
  });
});

describe('the layout', () => {
  it('goes from left to right without two nodes at one place', () => {
    const places = layout(doc, () => 80);
    expect(places.read?.[0]).toBeLessThan(places.split?.[0] as number);
    expect(places.split?.[0]).toBeLessThan(places.learn?.[0] as number);
    expect(new Set(Object.values(places).map(String)).size).toBe(4);
  });

  it('ends for circles and for sources that are not there, and leaves places that are given', () => {
    const odd: Doc = { pipeline: 1, nodes: { a: { module: 'x', inputs: { t: 'b.t' } }, b: { module: 'x', inputs: { t: 'a.t', u: 'gone.t' } } } };
    expect(layersOf(odd).size).toBe(2);
    const given = placed(moveNodes(doc, { read: [500, 500] }), (n) => nodeHeight(n.inputs ? 1 : 2));
    expect(given.nodes.read?.at).toEqual([500, 500]);
    expect(Object.values(given.nodes).every((n) => n.at)).toBe(true);
  });

  it('is quick for the largest graph', () => {
    const nodes: Doc['nodes'] = {};
    for (let i = 0; i < 500; i++) {
      nodes[`n${i}`] = { module: 'x', inputs: i > 0 ? { t: `n${Math.floor(i / 2)}.t` } : undefined };
    }
    expect(Object.keys(layout({ pipeline: 1, nodes }, () => 80)).length).toBe(500);
  });
});

describe('two versions', () => {
  it('differ by nodes, parameters and connections, not by places', () => {
    const after = moveNodes(setParam(removeNodes(doc, new Set(['judge'])), 'split', 'fraction', 0.7), { read: [9, 9] });
    const [withNew] = addNode(after, 'one_hot', [0, 0]);
    const found = Object.fromEntries(diff(doc, withNew).map((d) => [d.id, d]));
    expect(found.read?.kind).toBe('same');
    expect(found.judge?.kind).toBe('removed');
    expect(found.one_hot?.kind).toBe('added');
    expect(found.split?.changes).toEqual([{ what: 'params.fraction', before: null, after: '0.7' }]);
    expect(Object.keys(union(doc, withNew).nodes)).toContain('judge');
    expect(diffHead(doc, { ...doc, volume: 'other' })).toEqual([{ what: 'volume', before: null, after: 'other' }]);
  });
});

describe('YAML', () => {
  it('round-trips', () => {
    const whole: Doc = { ...doc, description: 'Who: leaves?', params: [{ name: 'seed', type: 'int', default: 7 }], comments: [{ text: 'a\nb', at: [0, 0] }] };
    expect(readYaml(writeYaml(whole))).toEqual({ doc: whole });
  });

  it('says what is wrong and where', () => {
    expect(readYaml('nodes: [')).toMatchObject({ wrong: 'not_yaml', where: expect.stringMatching(/^1: /) });
    expect(readYaml('nodes: {a: {module: x, memory: 2Gi}}')).toMatchObject({ doc: { nodes: { a: { memory: '2Gi' } } } });
    expect(readYaml('nodes: {a: {module: x, memory: [2]}}')).toEqual({ wrong: 'bad_node', where: 'nodes.a' });
    expect(readYaml('- 1')).toEqual({ wrong: 'not_a_map', where: '' });
    expect(readYaml('pipeline: 1')).toEqual({ wrong: 'no_nodes', where: 'nodes' });
    expect(readYaml('nodes: {a: {module: 3}}')).toEqual({ wrong: 'bad_node', where: 'nodes.a' });
    expect(readYaml('nodes: {__proto__: {module: x}}')).toMatchObject({ wrong: 'bad_node' });
    expect(readYaml('nodes: {a: {module: x, params: {p: [1]}}}')).toEqual({ wrong: 'bad_node', where: 'nodes.a' });
    expect(readYaml('nodes: {}\ncomments: [1]')).toEqual({ wrong: 'bad_node', where: 'comments[0]' });
    expect(readYaml('x: '.padEnd(1024 * 1024 + 9, 'y'))).toEqual({ wrong: 'too_large', where: '' });
  });
});

describe('columns', () => {
  const columns = [{ name: 'age', type: 'int' }, { name: 'city', type: 'text' }, { name: '-odd', type: 'real' }];

  it('are known from the check', () => {
    const checked = { ok: true, mistakes: [], nodes: { split: { outputs: { train: { type: 'table' as const, columns } } } } };
    expect(columnsInto(doc, checked, modules.get('learn'), 'learn')).toBe(columns);
    expect(columnsInto(doc, checked, modules.get('evaluate'), 'judge')).toBeNull();
    expect(columnsInto(doc, null, modules.get('learn'), 'learn')).toBeNull();
  });

  it('are counted as selectors choose them', () => {
    expect(countOf('@all', columns)).toBe(3);
    expect(countOf('@numeric,-age', columns)).toBe(1);
    expect(countOf('-odd', columns)).toBe(1);
    expect(countOf('city, nowhere', columns)).toBe(1);
  });
});
